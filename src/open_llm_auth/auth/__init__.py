"""The auth room: which credential a call uses, in which attempts, and how references to secrets are written."""
