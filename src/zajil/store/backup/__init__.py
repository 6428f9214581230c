"""Backups: snapshots of the whole store in a folder or in S3, and their restore.

A *target* holds *objects*, each written once: *chunks* of rows, *packs* of the bytes of messages,
and one *manifest* for each snapshot, which names the others. Objects are named by what they
contain, so what two snapshots have in common is stored once.

Read ``target`` (where objects are), ``seal`` (how they are named, compressed and encrypted),
``rows`` (how rows are written), ``manifest`` (what a snapshot is), ``read`` (rows and bytes of a
snapshot), ``create`` with ``spool`` and ``packs`` (how a snapshot is made), ``hold`` (what keeps
deleted messages meanwhile), ``restore``. Decision 0018 says why.
"""
