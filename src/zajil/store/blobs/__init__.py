"""Where the bytes of large messages are: in files of this node, or as objects in S3.

``store.mail.blobs`` is the door to all of it. Read ``location`` (how a row names bytes), ``files``,
``bucket`` (the client of S3), ``objects`` (staging and reading in S3) with ``gate`` (an S3 that
hangs) and ``cache`` (copies on the disk), ``seal`` and ``keys`` (encryption), ``garbage`` (what is
deleted later), ``prefix`` (whose it is, and what crashes left there), ``moving`` (from one place to
the other), ``holdings`` (rows compared with objects).
"""
