"""Models on the Hugging Face hub: addresses, downloads and uploads, through huggingface_hub.

`address` says what `hf://OWNER/NAME` means, `library` is the only module that imports huggingface_hub and turns its
errors into one line, `fetching` downloads into its cache, and `uploading` compares and commits files.
"""
