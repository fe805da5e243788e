"""Compare: which of several models or recipes is better, by the test that fits what is known about them."""
