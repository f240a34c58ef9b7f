"""SSH: who a server is, who the bridge is to it, and files on it; for what fetches and for what sends."""
