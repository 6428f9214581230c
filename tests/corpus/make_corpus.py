"""Make the corpus: mails of each class and language, from templates, the same at each run.

``python tests/corpus/make_corpus.py FOLDER``
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Iterator
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path

HERE = Path(__file__).parent
PER_CLASS = 65
"""Mails of one class in one language: with two languages and three classes 390."""


def make_corpus(seed: int = 5) -> Iterator[tuple[str, str, str, bytes]]:
    """Give class, language, name and bytes of each mail; those written by hand come last."""
    templates = json.loads((HERE / "templates.json").read_text(encoding="utf-8"))
    for language, classes in sorted(templates.items()):
        words = classes["words"]
        for kind in ("ham", "phishing", "spam"):
            chance = random.Random(f"{seed} {language} {kind}")
            for number in range(PER_CLASS):
                yield kind, language, f"{kind}-{number:03}.eml", _mail(chance, classes[kind], words)
    for path in sorted((HERE / "odd").glob("*.eml")):
        kind, language, _ = path.stem.split("-", 2)
        yield kind, language, path.name, path.read_bytes().replace(b"\n", b"\r\n")


def _mail(chance: random.Random, group: dict[str, list[str]], words: dict[str, list[str]]) -> bytes:
    def fill(text: str) -> str:
        while "{" in text:
            start, end = text.index("{"), text.index("}")
            place = text[start + 1 : end]
            chosen = (
                str(chance.randint(10, 9999)) if place == "number" else chance.choice(words[place])
            )
            text = text[:start] + chosen + text[end + 1 :]
        return text

    sentences = [fill(chance.choice(group["opening"]))]
    own = chance.sample(group["body"], k=min(len(group["body"]), chance.randint(2, 3)))
    shared = chance.sample(words["shared"], k=chance.randint(3, 6))
    middle = [fill(text) for text in own + shared]
    chance.shuffle(middle)
    sentences += [*middle, fill(chance.choice(group["closing"]))]
    mail = EmailMessage(policy=SMTP)
    name, domain = fill("{name}"), chance.choice(group["domain"])
    mail["From"] = f'"{name}" <{chance.choice(["info", "post", "team", "office"])}@{domain}>'
    mail["To"] = "amal@north.test"
    mail["Subject"] = fill(chance.choice(group["subject"]))
    mail["Date"] = f"Tue, {chance.randint(10, 28)} Nov 2026 08:{chance.randint(10, 59)}:00 +0300"
    mail["Message-ID"] = f"<{chance.randint(10**8, 10**9)}@{domain}>"
    if chance.random() < 0.3:
        mail["List-Unsubscribe"] = f"<https://{domain}/leave>"
    link = chance.choice(group["link"])
    text = "\n\n".join(sentences) + f"\n\n{link}\n"
    mail.set_content(text, cte="base64" if chance.random() < 0.5 else "quoted-printable")
    if chance.random() < 0.4:
        html = "".join([f"<p>{sentence}</p>" for sentence in sentences])
        mail.add_alternative(f'{html}<a href="{link}">{fill("{go}")}</a>', subtype="html")
        mail.set_boundary("=_made")
    return mail.as_bytes()


if __name__ == "__main__":
    for one_kind, one_language, file_name, content in make_corpus():
        folder = Path(sys.argv[1]) / f"{one_kind}-{one_language}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / file_name).write_bytes(content)
