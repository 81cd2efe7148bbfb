"""Who is served, and which requests each may send: pure decisions on the mounted policy. Default deny."""
