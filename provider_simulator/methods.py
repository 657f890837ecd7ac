"""The payment methods that the simulator knows: each token behaves in its own way."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Method:
    """How an authorisation on this method goes.

    `refusal` is a code and a sentence; `answers_after_s` delays the answer, not the charge;
    `first_answer_lost` charges but lets the first caller under a key wait in vain; `turns_away` is how many
    calls under a key get a 503 and no effect before one is let in.
    """

    refusal: tuple[str, str] | None = None
    answers_after_s: float = 0.0
    first_answer_lost: bool = False
    turns_away: int = 0


METHODS = {
    "tok_visa": Method(),
    "tok_declined": Method(refusal=("card_declined", "The card was declined.")),
    "tok_insufficient_funds": Method(refusal=("insufficient_funds", "The card has insufficient funds.")),
    "tok_slow": Method(answers_after_s=1.5),
    "tok_timeout": Method(first_answer_lost=True),
    "tok_flaky": Method(turns_away=2),
}

UNKNOWN = Method(refusal=("invalid_method", "No such payment method."))
