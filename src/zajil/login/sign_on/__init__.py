"""Single sign-on by OpenID Connect: the authorization code flow with PKCE (RFC 6749, RFC 7636).

Reading order: ``flow`` (what a browser keeps while it is at the provider), ``id_token`` (what the
provider says, checked), ``provider`` (the requests to it). ``operations.sign_on`` finds the
account; ``web.account.sign_on`` has the pages.
"""
