"""Face detection, cropping and tracking, and synthetic faces."""
