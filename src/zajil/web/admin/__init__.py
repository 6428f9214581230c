"""The operator's pages: ``overview`` (domains and accounts), ``journeys`` (search), ``queue``."""
