"""The mTLS server: it demands client certificates and tells the application who calls."""
