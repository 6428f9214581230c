"""A relay for tests: a sink that takes mail after a log-in, with the server side of our SASL."""

from __future__ import annotations

import os
from base64 import b64encode
from dataclasses import dataclass, field

from kit.network import Deed, SinkSession
from zajil.sasl.mechanism import make_mechanism
from zajil.sasl.scram import Scram, ScramKeys, derive_key
from zajil.sasl.step import Challenge, Credentials, KeysWanted, Mechanism, Proven, Step
from zajil.smtp.command import Auth, AuthResponse, BodyEnd, Command, Mail
from zajil.smtp.reply import Reply

ACCEPTED = Reply(235, ("2.7.0 welcome",))
REFUSED = Reply(535, ("5.7.8 wrong login or password",))
FIRST = Reply(530, ("5.7.0 log in first",))
_SALT = b"salt of a name"


@dataclass
class LogInRequired:
    """The answers of a relay; ``sink.answer`` of a sink that offers ``AUTH``."""

    login: str = "me@north.test"
    password: str = "a pigeon's password"
    has_scram_keys: bool = True
    log_ins: list[str] = field(default_factory=list)
    """Mechanism of each exchange that was begun."""
    refusal: Reply = REFUSED
    _running: dict[SinkSession, Mechanism] = field(default_factory=dict)
    _proven: set[SinkSession] = field(default_factory=set)
    _inside: set[SinkSession] = field(default_factory=set)

    def __call__(self, event: Command | BodyEnd, session: SinkSession) -> Reply | Deed | None:
        """Answer AUTH, and MAIL without it."""
        match event:
            case Auth(mechanism=name, initial=initial):
                mechanism = make_mechanism(name, os.urandom)
                assert mechanism is not None
                self.log_ins.append(name)
                self._running[session] = mechanism
                return self._step(mechanism.start(initial), session)
            case AuthResponse(data=None):
                return Reply(501, ("5.7.0 cancelled",))
            case AuthResponse(data=data):
                if session in self._proven:
                    return self._let_in(session)
                return self._step(self._running[session].respond(data or b""), session)
            case Mail() if session not in self._inside:
                return FIRST
        return None

    def _let_in(self, session: SinkSession) -> Reply:
        self._inside.add(session)
        return ACCEPTED

    def _step(self, step: Step, session: SinkSession) -> Reply:
        match step:
            case Challenge(data=data):
                return _challenge(data)
            case Credentials(login=login, password=password):
                right = (login, password) == (self.login, self.password)
                return self._let_in(session) if right else self.refusal
            case KeysWanted(login=login):
                mechanism = self._running[session]
                assert isinstance(mechanism, Scram)
                keys = (derive_key(self.password, _SALT),)
                is_known = self.has_scram_keys and login == self.login
                return self._step(
                    mechanism.take_keys(ScramKeys(_SALT, 4096, keys if is_known else ())), session
                )
            case Proven(final=final):
                self._proven.add(session)
                return _challenge(final)
        return self.refusal


def _challenge(data: bytes) -> Reply:
    return Reply(334, (b64encode(data).decode("ascii"),))
