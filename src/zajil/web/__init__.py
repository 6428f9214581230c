"""The pages: Starlette, Jinja2, gettext; every page works without JavaScript.

Reading order: ``services`` (what it needs), ``app`` (the route table), ``gate`` (who may come in),
``security``, ``body_limit``, ``language``, ``page`` (templates), ``static_files``; then
``account``, ``webmail``, ``journey``, ``admin``; ``server`` (uvicorn on our sockets). ``sides``
shows both ends of a mail, for the lab.
"""
