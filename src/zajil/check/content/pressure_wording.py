"""Whose name a mail borrows, and what it presses for. Pure.

Honest mail asks for the same as a thief: a bank warns, a shop wants a card. So such words alone say
nothing; they count where a mail bears a name that is not its own.
"""

from __future__ import annotations

import re
from functools import lru_cache

from zajil.check.content.lookalike import skeleton
from zajil.dns.public_suffix import registered_domain
from zajil.message.normal_form import normal_form
from zajil.message.view import MessageView

MAX_TEXT = 8192
"""Characters that are looked at: a lure stands at the beginning."""

# What a display name says, and what stands in the domains of who is really called so. No words
# that have a meaning of their own (apple, chase, outlook).
_BRANDS = {
    **{
        name: name
        for name in (
            *("paypal", "microsoft", "netflix", "facebook", "instagram", "whatsapp", "linkedin"),
            *("dropbox", "docusign", "fedex", "usps", "dhl", "aramex", "amazon", "icloud"),
            *("binance", "coinbase", "metamask", "hsbc", "citibank", "alrajhi"),
        )
    },
    "مايكروسوفت": "microsoft",
    "نتفليكس": "netflix",
    "فيسبوك": "facebook",
    "انستغرام": "instagram",
    "واتساب": "whatsapp",
    "امازون": "amazon",
    "ارامكس": "aramex",
    "الراجحي": "rajhi",
}


@lru_cache(maxsize=1)
def _by_form() -> dict[str, tuple[str, str]]:
    return {_form(name): (name, label) for name, label in _BRANDS.items()}


def _form(text: str) -> str:
    return skeleton(normal_form(text))


def borrowed_brand(name: str, domain: str) -> str | None:
    """Return the well known name that an author bears whose domain is another's; ``None``: none.

    Args:
        name: of display.
        domain: of the author, ASCII form.
    """
    for word in name.split()[:6]:
        plain = word.strip("\"'()[],.:;!")
        # A capital I stands for an l: ``PayPaI``.
        for form in (_form(plain), _form(plain.replace("I", "l"))):
            brand, label = _by_form().get(form, ("", ""))
            if brand:
                return None if _belongs_to(label, domain) else brand
    return None


def _belongs_to(label: str, domain: str) -> bool:
    """Whether a domain may be one of a brand's: ``facebookmail.com``, not ``x-facebook.com``.

    Brands have more domains than anybody lists; thieves join the name to a word by a hyphen.
    """
    name = registered_domain(domain).partition(".")[0]
    pieces = name.split("-")
    return label in name and (len(pieces) == 1 or label not in pieces)


# In normal form. Each kind of word once is a lure; in any order.
_ASKS = re.compile(
    r"verif|confirm|validat|updat|unlock|restor|re-?activat|sign ?in|log ?in|"
    r"حدث|تحديث|تحقق|تاكيد|اكد|صادق|اثبت|سجل الدخول|تسجيل الدخول|تفعيل"
)
_FOR = re.compile(
    r"account|password|identity|mailbox|payment|billing|card|credential|"
    r"حساب|كلمه المرور|كلمه السر|بطاق|هويت|بيانات|بريدك"
)
_OR_ELSE = re.compile(
    r"suspen|limited|restrict|deactivat|terminat|closed|closure|locked|blocked|expir|delet|cancel|"
    r"unusual|unauthori|within \d|immediately|urgent|today|"
    r"ايقاف|اوقف|توقف|اغلاق|اغلق|يغلق|تقييد|حظر|حذف|خلال \d|فورا|عاجل|غير معتاد|اليوم"
)
_FAVOUR = re.compile(
    r"gift ?cards?|wire transfer|bank transfer|change my (?:bank|payroll)|direct deposit|"
    r"بطاقات هدايا|بطاقه هديه|حواله|تحويل بنكي"
)


def has_pressure_wording(view: MessageView) -> bool:
    """Whether a mail presses its reader to log in or pay; for one that bears a borrowed name."""
    text = normal_form(view.subject[:500] + "\n" + view.visible_text[:MAX_TEXT])
    if _FAVOUR.search(text):
        return True
    return all([kind.search(text) is not None for kind in (_ASKS, _FOR, _OR_ELSE)])
