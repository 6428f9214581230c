"""The text that explains the files of an export, in English and Arabic."""

from __future__ import annotations

README = """\
What this mail server knows about {address}
exported on {day} (UTC) by Zajil

mail/                 messages, one mbox file for each mailbox; flags are in the fields Status,
                      X-Status and X-Keywords. Most mail programs import mbox files.
deleted/              deleted messages that could still be restored
contacts.vcf          address book (vCard 4.0)
account.json          names, addresses, aliases, quota, forwarding, who may send as whom
settings.json         settings of the web pages
mailboxes.json        mailboxes: rights, annotations, subscriptions, what was imported
correspondents.json   addresses that were written to
logins.json           last log-in, browsers, app passwords, second factors (without secrets)
sessions.json         connections in which the person logged in, or that name the person
journeys.json         what happened to each mail from and to the person
audit.json            changes of the account, and changes that the person made
learned.json          what the junk filter learned from the person, and counts of sent mail

Passwords and keys are not exported: they are stored as hashes, or prove who somebody is.
Log files and backups of the server may contain more; ask the administrator.
Times are in UTC; fields whose name ends in _ms count milliseconds since 1970. JSON files are text
in UTF-8.


ما يعرفه خادم البريد هذا عن {address}
صُدِّر في {day} (بالتوقيت العالمي) من زاجل

mail/                 الرسائل: ملف mbox لكل صندوق، وعلاماتها في الحقول Status و X-Status
                      و X-Keywords. تستورد معظم برامج البريد ملفات mbox.
deleted/              الرسائل المحذوفة التي ما زال استرجاعها ممكنًا
contacts.vcf          دفتر العناوين (vCard 4.0)
account.json          الأسماء والعناوين والأسماء البديلة والحصة والتحويل، ومن يرسل باسم من
settings.json         إعدادات صفحات الويب
mailboxes.json        الصناديق: الصلاحيات والملاحظات والاشتراكات وما استُورد
correspondents.json   العناوين التي أُرسل إليها
logins.json           آخر دخول والمتصفحات وكلمات مرور التطبيقات والعوامل الثانية (من دون الأسرار)
sessions.json         الاتصالات التي دخل فيها صاحب الحساب أو ذُكر فيها
journeys.json         ما جرى لكل رسالة منه وإليه
audit.json            تغييرات الحساب، والتغييرات التي أجراها صاحبه
learned.json          ما تعلمه مرشح البريد المزعج منه، وأعداد ما أرسله

كلمات المرور والمفاتيح غير مصدّرة: فهي مخزنة مجزّأةً (hash)، أو تثبت هوية صاحبها.
قد يكون في سجلات الخادم ونسخه الاحتياطية المزيد؛ فاسأل مدير الخادم.
الأوقات بالتوقيت العالمي، والحقول المنتهية بـ _ms تعدّ أجزاء الألف من الثانية منذ 1970. ملفات JSON نص
بترميز UTF-8.
"""
