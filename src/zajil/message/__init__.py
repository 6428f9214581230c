"""Bytes to structure and back (RFC 5322, RFC 2045 to 2049, RFC 6532).

Pure. Nothing here raises on what a message holds. Reading order: ``fields`` (the header section
as raw slices: all that the way of a mail needs), then what a value means: ``charset``,
``encoded_word``, ``params``, ``address_list``, ``date``; the body: ``transfer``, ``part``,
``parse``, ``leaves``; the reading of a whole message: ``view`` with ``header_view``, ``html`` (as a
browser shows it), ``urls`` and ``late_parts``; searching: ``normal_form``, ``searched_text``,
``words``, ``word_blocks``, ``office_text``, ``index_words``, ``word_query`` with ``stems``; and
writing: ``build``, ``dsn``, ``final_fields``; what must be written anew before it may travel:
``mend_fields``, ``mend_parts``.
"""
