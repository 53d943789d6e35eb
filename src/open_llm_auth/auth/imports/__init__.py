"""What other programs on this machine have signed in to, read from the bytes of their files: a reader for each program.

Nothing here opens a file or sends a byte. A sign-in that its program renews is only ever referred to; a plain key may
be copied too.
"""
