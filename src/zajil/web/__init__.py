"""The pages: Starlette, Jinja2, gettext. Every page works without JavaScript.

Reading order: ``services`` (what pages need), ``app`` (the route table), ``access`` (who may see a
page), ``security``, ``forwarded`` (proxies in front), ``body_limit``, ``compressed``, ``language``,
``page`` (templates), ``notices``, ``static_files``; then ``account``, ``webmail``, ``journey``,
``admin``; ``server`` (uvicorn on our sockets). ``two_ends`` shows both ends of a mail, for the lab.
"""
