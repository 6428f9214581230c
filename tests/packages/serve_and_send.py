"""Serve as the unit does, send a mail to oneself, read it: runs as root in a fresh system.

    serve_and_send.py PROGRAM ARGUMENT...    what confines the server, such as setpriv

Standard library only; tests run it with the Python of that system.
"""

from __future__ import annotations

import ctypes
import imaplib
import json
import os
import signal
import smtplib
import ssl
import subprocess
import sys
import time
from pathlib import Path

PASSWORD = "correct horse battery staple"
PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN = 65, 1
NET_BIND_SERVICE = 1 << 10


def refuse_writable_code() -> None:
    """As MemoryDenyWriteExecute=yes; a kernel before 6.3 cannot."""
    ctypes.CDLL(None).prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0)
    os.umask(0o077)


def main() -> None:
    """Serve, send, read, reload, stop."""
    allowed = NET_BIND_SERVICE if "net_bind_service" in " ".join(sys.argv) else 0
    read, write = os.pipe()
    server = subprocess.Popen(
        [*sys.argv[1:], "/usr/bin/zajil", "serve", "--ready-fd", str(write)],
        pass_fds=(write,),
        preexec_fn=refuse_writable_code,
    )
    os.close(write)
    with open(read) as ready:
        services = json.loads(ready.readline())
    print("serving", {name: services[name] for name in ("smtp", "submission", "imaps")})
    for pid in (server.pid, services["pid"]):
        status = Path(f"/proc/{pid}/status").read_text()
        facts = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
        assert facts["Uid"].split()[0] != "0", facts
        assert int(facts["CapBnd"], 16) == int(facts["CapEff"], 16) == allowed, facts
        assert facts["NoNewPrivs"] == "1", facts
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    subject = f"Subject: from a fresh system {time.time()}"
    with smtplib.SMTP("127.0.0.1", 587, timeout=60) as client:
        client.starttls(context=context)
        client.login("b", PASSWORD)
        client.sendmail("b@y.test", ["b@y.test"], f"From: b@y.test\r\n{subject}\r\n\r\nhello\r\n")
    with imaplib.IMAP4_SSL("127.0.0.1", 993, ssl_context=context, timeout=60) as mailbox:
        mailbox.login("b", PASSWORD)
        for _ in range(300):
            mailbox.select("INBOX")
            found = mailbox.search(None, "SUBJECT", f'"{subject.partition(": ")[2]}"')[1][0]
            if found:
                break
            time.sleep(0.1)
        assert found, "no mail came"
    # As ExecReload of the unit does it.
    reload = [*sys.argv[1:], "/usr/bin/zajil", "reload"]
    subprocess.run(reload, check=True, preexec_fn=refuse_writable_code)
    server.send_signal(signal.SIGTERM)
    assert server.wait(60) == 0
    print("the mail arrived")


main()
