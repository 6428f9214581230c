"""Step 4: whose is it, and where next.

Asked by the other steps, answers with values. Reading order: ``recipient`` (local, remote,
nobody), ``alias`` (what an address stands for), ``directory_flow`` (how both ask the directory),
``filing`` (which mailbox), ``copies`` (what of all this the store writes), ``next_hop`` (from MX
records to hosts).
"""
