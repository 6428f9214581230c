"""The texts of replies, in English and Arabic. (RFC 6856 section 3)"""

from __future__ import annotations

from enum import Enum

DEFAULT_LANGUAGE = "i-default"
"""English in ASCII, before any LANG (RFC 2277 section 4.5)."""
LANGUAGES = {"i-default": "Default language", "en": "English", "ar": "العربية"}
"""Tags, and each language's name in that language."""


def find_language(wanted: str) -> str | None:
    """Return the tag of the language that a range means; ``None``: we have no texts in it.

    ``en-GB`` means ``en`` (RFC 4647 section 3.4), ``*`` the language of the server.
    """
    if wanted == "*":
        return "en"
    parts = wanted.lower().split("-")
    while parts:
        if (tag := "-".join(parts)) in LANGUAGES:
            return tag
        parts.pop()
    return None


class Text(Enum):
    """What a reply says to a person: in English, in Arabic."""

    UNKNOWN_COMMAND = "unknown command", "أمر غير معروف"
    NO_ARGUMENT = "this command has no arguments", "هذا الأمر لا يقبل معاملات"
    WRONG_ARGUMENTS = "wrong arguments", "معاملات غير صحيحة"
    NOT_A_NUMBER = "number expected", "يلزم عدد"
    NOT_UTF8 = "argument is not UTF-8", "المعامل ليس بترميز UTF-8"
    NOT_BASE64 = "not base64", "ليس بترميز base64"
    NOT_NOW = "not allowed in this state", "غير مسموح في هذه الحالة"
    ALREADY_ENCRYPTED = "already encrypted", "الاتصال مشفّر من قبل"
    TLS_UNAVAILABLE = "TLS is not available", "التشفير غير متاح"
    STLS_AFTER_UTF8 = "STLS must come before UTF8", "يجب أن يسبق STLS الأمر UTF8"
    TLS_REQUIRED = "TLS is required before log-in", "يلزم التشفير قبل تسجيل الدخول"
    USER_FIRST = "USER must come before PASS", "يجب أن يسبق USER الأمر PASS"
    UNKNOWN_MECHANISM = "unknown mechanism", "آلية غير معروفة"
    UNKNOWN_LANGUAGE = "unknown language", "لغة غير معروفة"
    LINE_TOO_LONG = "line is too long", "السطر أطول من المسموح"
    BYTES_AFTER_STLS = "bytes after STLS", "بيانات بعد STLS"
    TOO_MANY_ERRORS = "too many errors", "أخطاء كثيرة"

    WRONG_PASSWORD = "wrong login or password", "اسم الدخول أو كلمة المرور غير صحيحة"
    NEEDS_APP_PASSWORD = (
        "this account needs an app password, see its page in the webmail",
        "يحتاج هذا الحساب إلى كلمة مرور تطبيق، انظر صفحته في بريد الويب",
    )
    CANCELLED = "cancelled", "أُلغي"
    MALFORMED = "malformed SASL response", "رد SASL غير صحيح"
    TRY_LATER = "try again later", "حاول لاحقًا"
    TOO_MANY_SESSIONS = "too many sessions of this account", "جلسات كثيرة لهذا الحساب"
    IN_USE = "mailbox is in use by another session", "صندوق البريد مستخدم في جلسة أخرى"
    NO_MESSAGE = "no such message", "لا توجد رسالة بهذا الرقم"
    DELETED = "message is deleted", "الرسالة محذوفة"
    GONE = "message was removed by another session", "حذفت جلسة أخرى هذه الرسالة"
    NOT_REMOVED = "messages were not deleted", "لم تُحذف الرسائل"

    READY = "ready", "جاهز"
    BEGIN_TLS = "begin TLS now", "ابدأ التشفير الآن"
    CAPABILITIES = "capability list follows", "قائمة الإمكانات"
    MECHANISMS = "mechanisms follow", "قائمة الآليات"
    LANGUAGE_LIST = "language list follows", "قائمة اللغات"
    LANGUAGE_CHANGED = "language changed", "تغيّرت اللغة"
    UTF8_ON = "UTF-8 enabled", "فُعّل ترميز UTF-8"
    SEND_PASSWORD = "send PASS", "أرسل PASS"
    LOGGED_IN = "logged in", "تم تسجيل الدخول"
    DONE = "done", "تم"
    OCTETS = "octets", "بايت"
    MESSAGE = "message follows", "الرسالة"
    MESSAGES = "messages", "رسالة"
    IDS = "unique ids follow", "المعرّفات"
    MARKED = "message will be deleted at QUIT", "ستُحذف الرسالة عند QUIT"
    UNMARKED = "no message will be deleted", "لن تُحذف أي رسالة"
    GOODBYE = "bye", "مع السلامة"

    TOO_MANY = "too many connections", "اتصالات كثيرة"
    SHUTDOWN = "server is shutting down", "الخادم يتوقف"
    IDLE = "idle for too long", "انتهت مهلة الانتظار"
    EARLY = "command before the greeting", "أمر قبل التحية"
    FAULT = "internal error", "خطأ داخلي"
    CREDENTIALS = "credentials changed, please reconnect", "تغيّرت بيانات الدخول، أعد الاتصال"

    def in_language(self, tag: str) -> str:
        """Return the text in a language of ``LANGUAGES``."""
        english, arabic = self.value
        return arabic if tag == "ar" else english
