"""What the mailbox of another program is called here, and which role it has. (RFC 6154)

Laws:
- Every name has a form here: levels that are too many, too long or empty are changed, never
  refused.
- A role comes from the source where it tells one, else from a name that programs give it, in the
  languages that they speak.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Sequence

from zajil.imap.mailbox_name import (
    INBOX,
    MAX_DEPTH,
    MAX_NAME,
    SEPARATOR,
    SHARED,
    BadMailboxName,
    decode_name,
    normal_name,
)

_REFUSED = ("Cc", "Cs", "Zl", "Zp")
_CONTAINERS = {"[gmail]", "[google mail]", "inbox"}
"""First levels below which mailboxes with a role may stand."""

_ROLE_NAMES = {
    "drafts": (
        "drafts|draft|entwürfe|brouillons|borradores|bozze|rascunhos|concepten|kladder|"
        "utkast|luonnokset|wersje robocze|szkice|koncepty|piszkozatok|schițe|черновики|"
        "чернетки|taslaklar|المسودات|مسودات|مسودة|پیش‌نویس‌ها|پیش نویس ها|مسودے|טיוטות|"
        "πρόχειρα|下書き|草稿|草稿箱|임시보관함|임시 보관함|ร่างจดหมาย|thư nháp|draf"
    ),
    "sent": (
        "sent|sent items|sent messages|sent mail|sent-mail|gesendet|gesendete elemente|"
        "gesendete objekte|gesendete nachrichten|envoyés|messages envoyés|"
        "éléments envoyés|courrier envoyé|enviados|elementos enviados|"
        "mensajes enviados|correo enviado|itens enviados|e-mails enviados|inviata|"
        "posta inviata|inviati|verzonden|verzonden items|verzonden berichten|sendt|"
        "sendt post|skickat|skickade objekt|skickade meddelanden|lähetetyt|wysłane|"
        "elementy wysłane|odeslané|odeslaná pošta|odoslané|elküldött elemek|elküldött|"
        "trimise|отправленные|отправленная почта|надіслані|gönderilmiş öğeler|"
        "gönderilen|gönderilmiş postalar|المرسلة|المرسل|البريد المرسل|العناصر المرسلة|"
        "الرسائل المرسلة|بريد مرسل|صادر|ارسال شده|فرستاده‌شده|پیام‌های فرستاده شده|"
        "بھیجی گئی|נשלח|פריטים שנשלחו|דואר יוצא|απεσταλμένα|送信済み|送信済みアイテム|"
        "送信済みメール|已发送|已发送邮件|寄件備份|보낸편지함|보낸 편지함|ส่งแล้ว|"
        "thư đã gửi|terkirim"
    ),
    "junk": (
        "junk|spam|junk e-mail|junk email|junk mail|bulk|spamverdacht|junk-e-mail|"
        "werbung|unerwünscht|courrier indésirable|indésirables|pourriel|"
        "correo no deseado|no deseado|lixo eletrônico|lixo eletrónico|"
        "posta indesiderata|indesiderata|ongewenste e-mail|ongewenst|uønsket e-post|"
        "skräppost|roskaposti|niechciane|wiadomości-śmieci|nevyžádaná pošta|"
        "levélszemét|спам|нежелательная почта|önemsiz|gereksiz e-posta|"
        "البريد غير المرغوب فيه|البريد غير المرغوب|بريد غير هام|غير مرغوب|"
        "غير مرغوب فيه|البريد العشوائي|الرسائل غير المرغوب فيها|بريد مزعج|"
        "البريد المزعج|مزعج|مزعجات|سبام|هرزنامه|اسپم|דואר זבל|ανεπιθύμητα|迷惑メール|"
        "垃圾邮件|垃圾郵件|스팸메일함|스팸|จดหมายขยะ|thư rác"
    ),
    "trash": (
        "trash|deleted items|deleted messages|deleted|bin|rubbish|wastebasket|"
        "papierkorb|gelöscht|gelöschte elemente|gelöschte objekte|"
        "gelöschte nachrichten|corbeille|éléments supprimés|messages supprimés|"
        "papelera|elementos eliminados|eliminados|lixeira|lixo|itens excluídos|"
        "itens eliminados|cestino|posta eliminata|eliminata|prullenbak|"
        "verwijderde items|papirkurv|slettet post|slettede elementer|papperskorgen|"
        "borttagna objekt|roskakori|poistetut|kosz|elementy usunięte|koš|"
        "odstraněná pošta|kôš|kuka|lomtár|törölt elemek|gunoi|coș de gunoi|корзина|"
        "удаленные|удалённые|кошик|çöp kutusu|çöp|silinmiş öğeler|المهملات|"
        "سلة المهملات|المحذوفة|المحذوفات|العناصر المحذوفة|الرسائل المحذوفة|"
        "البريد المحذوف|سلة المحذوفات|زباله‌دان|زباله دان|حذف شده|حذف کردہ|אשפה|"
        "פריטים שנמחקו|κάδος|διαγραμμένα|ごみ箱|ゴミ箱|削除済みアイテム|已删除|"
        "已删除邮件|垃圾桶|휴지통|지운편지함|ถังขยะ|thùng rác|sampah"
    ),
    "archive": (
        "archive|archives|archiv|archivo|archivio|arquivo|archief|arkiv|arkisto|"
        "archiwum|архив|архів|arşiv|الأرشيف|أرشيف|ارشيف|الارشيف|المؤرشفة|بایگانی|"
        "ארכיון|αρχείο|アーカイブ|归档|存档|封存|보관함|arsip"
    ),
}


def _fold(text: str) -> str:
    return unicodedata.normalize("NFC", text).casefold().strip()


_ROLE_OF = {_fold(name): role for role, names in _ROLE_NAMES.items() for name in names.split("|")}


def role_of(levels: Sequence[str]) -> str | None:
    """Return the role that the name of a mailbox means; ``None``: it means none."""
    if not levels:
        return None
    if len(levels) == 1 and levels[0].upper() == INBOX:
        return "inbox"
    below = levels[1:] if len(levels) == 2 and _fold(levels[0]) in _CONTAINERS else levels
    return _ROLE_OF.get(_fold(below[0])) if len(below) == 1 else None


def own_name(levels: Sequence[str], prefix: Sequence[str] = ()) -> str:
    """Return the name here of a foreign mailbox: always one that a mailbox can have.

    Args:
        levels: of the foreign name, from the top; anything may stand in them.
        prefix: levels that are put in front.
    """
    clean = [_level(one) for one in (*prefix, *levels) if one.strip()]
    if not clean:
        return INBOX
    if clean[0] == SHARED:
        clean[0] = f"{SHARED}_"  # mailboxes of other accounts stand there
    if len(clean) > MAX_DEPTH:
        clean = [*clean[: MAX_DEPTH - 1], "_".join(clean[MAX_DEPTH - 1 :])]
    name = SEPARATOR.join(clean)
    if len(name) > MAX_NAME:
        # Two long names must not become one.
        mark = hashlib.sha256(name.encode("utf-8", "replace")).hexdigest()[:8]
        name = f"{name[: MAX_NAME - 9].rstrip(SEPARATOR)}~{mark}"
    return normal_name(name)


def _level(text: str) -> str:
    text = unicodedata.normalize("NFC", text.replace(SEPARATOR, "_"))
    shown = ["_" if unicodedata.category(one) in _REFUSED else one for one in text]
    return "".join(shown).strip() or "_"


def read_level(raw: bytes) -> str:
    """Return a name of a file or folder as people see it: in modified UTF-7, UTF-8 or Latin-1."""
    if raw.isascii():
        try:
            return decode_name(raw.replace(b"/", b"_"))
        except BadMailboxName:
            return raw.decode("ascii", "replace")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")
