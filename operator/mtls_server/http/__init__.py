"""HTTP of judged peers: what is passed on to the application, and what is answered before it."""
