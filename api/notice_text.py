"""What an overdue notice says: the five items that the law asks for, in the customer's language.

Source: RGC 2023 (Anatel resolution 765/2023) articles 70 and 71: reasons; rules and time limits of
suspension and rescission; amount and reference month; credit bureaus after rescission; time limit
for restoring. What the law asks for is worded here; a template arranges it. Of an ended contract
nothing is left to suspend, to rescind or to restore, and the same items say so. The document is
masked, because a mailbox is read by others too (LGPD).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from api.wording.builtin import builtin
from api.wording.template import Kind, Template, fill
from api.wording.text import Language as Language
from api.wording.text import Wording as Wording
from api.wording.text import day, money, month
from api.wording.text import one_line as one_line
from billing.access import Level
from billing.law import BOUNDS, Law
from billing.policy import Policy
from billing.stage import Stage

# The law's own limit, which no policy changes.
RESTORE_WITHIN_DAYS = 1


@dataclass(frozen=True, slots=True)
class OwedInvoice:
    """One line of the notice. `due_cents` is what settles it today, charges included.

    `ended_on` is the first day without service of its contract; None: it runs.
    """

    invoice_id: int
    contract_id: int
    due_on: date
    unpaid_cents: int
    due_cents: int
    copy_and_paste: str | None
    ended_on: date | None = None


@dataclass(frozen=True, slots=True)
class Deadline:
    """The earliest day on which a level may be entered."""

    level: Level
    on: date


@dataclass(frozen=True, slots=True)
class ToldBefore:
    """Invoices that an older notice told of: their days run from `told_on`, not from this letter.

    `first_on` is the earliest day of the first step by those days; it may be past.
    """

    told_on: date
    first_on: date
    invoice_ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Letter:
    """All that the notice says. `written_on` is the local day it goes out.

    `rescission_after_days` count from the suspension.
    """

    notice_id: int
    provider: str
    name: str
    document: str
    written_on: date
    notice_days: int
    deadlines: tuple[Deadline, ...]
    invoices: tuple[OwedInvoice, ...]
    rescission_after_days: int = BOUNDS[Law.ANATEL_765].rescind_days
    told_before: tuple[ToldBefore, ...] = ()

    @property
    def rescission_on(self) -> date | None:
        """So many days after the first suspension, which is what the law counts from."""
        suspended = (d.on for d in self.deadlines if d.level.severity >= Level.WALLED.severity)
        first = min(suspended, default=None)
        return None if first is None else first + timedelta(days=self.rescission_after_days)

    @property
    def any_runs(self) -> bool:
        """Whether it lists an invoice of a contract that has not ended."""
        return any(invoice.ended_on is None for invoice in self.invoices)

    @property
    def ended(self) -> dict[int, date]:
        """The ended contracts of which it lists invoices, and their first days without service."""
        return {
            invoice.contract_id: invoice.ended_on
            for invoice in self.invoices
            if invoice.ended_on is not None
        }

    @property
    def total_cents(self) -> int:
        return sum(invoice.due_cents for invoice in self.invoices)


def deadlines(policy: Policy, proven_on: date) -> tuple[Deadline, ...]:
    """When each step of the line may begin at the earliest, with the notice proven on a day."""
    days: dict[str, date] = {"maturity": proven_on + timedelta(days=policy.notice_days)}
    for step in policy.steps:
        days[step.stage] = days[step.anchor] + timedelta(days=step.after_days)
    return tuple(
        Deadline(step.stage.level, days[step.stage])
        for step in policy.steps
        if step.stage.is_of_line
    )


def rescission_days(policy: Policy) -> int:
    """Days from the suspension to the contract's end: the policy's, else the law's."""
    offset_days: dict[str, int] = {"maturity": 0}
    for step in policy.steps:
        offset_days[step.stage] = offset_days[step.anchor] + step.after_days
    suspended = [offset_days[step.stage] for step in policy.steps if step.stage.suspends]
    if suspended and Stage.RESCIND in offset_days:
        return offset_days[Stage.RESCIND] - min(suspended)
    return BOUNDS.get(policy.law, BOUNDS[Law.ANATEL_765]).rescind_days


def soonest(policies: Sequence[Policy], proven_on: date) -> Policy:
    """Of a payer's policies the one that cuts first: a notice may be early, never late."""
    return min(
        policies,
        key=lambda policy: min(
            (deadline.on for deadline in deadlines(policy, proven_on)), default=date.max
        ),
    )


def render(
    letter: Letter, language: Language = "pt_BR", template: Template | None = None
) -> Wording:
    """Put the letter into words. Whatever a subscriber typed stays on one line, and is escaped.

    Args:
        letter: what it says.
        language: of the built-in template; one that is given has its own.
        template: None: the built-in one.
    """
    template = template or builtin(Kind.NOTICE, language)
    return fill(template, values(letter, template.language))


def values(letter: Letter, language: Language) -> dict[str, str]:
    """The letter as the fields of a template."""
    words = _WORDS[language]
    rules = _rules(letter, language) if letter.any_runs else []
    rules += [
        words["ended"].format(contract_id=contract_id, on=day(on, language))
        for contract_id, on in sorted(letter.ended.items())
    ]
    restoring = [words["restoring"].format(days=RESTORE_WITHIN_DAYS)] if letter.any_runs else []
    restoring += [words["restoring_ended"]] if letter.ended else []
    return {
        "provider": one_line(letter.provider),
        "name": one_line(letter.name),
        "document": letter.document,
        "notice_id": str(letter.notice_id),
        "today": day(letter.written_on, language),
        "reason": words["reason"],
        "rules": "\n".join(rules),
        "invoices": "\n".join(_invoice(invoice, language) for invoice in letter.invoices),
        "total": money(letter.total_cents, language),
        "bureaus": words["bureaus" if letter.any_runs else "bureaus_ended"],
        "restoring": " ".join(restoring),
        "five_items": _five_items(letter, language),
    }


def _rules(letter: Letter, language: Language) -> list[str]:
    """What may happen to a line, and when."""
    words = _WORDS[language]
    from_day = (
        words["from_day"].format(on=day(letter.rescission_on, language))
        if letter.rescission_on is not None
        else ""
    )
    anew = "nothing_before_anew" if letter.told_before else "nothing_before"
    return [
        words[anew].format(days=letter.notice_days),
        *(
            words[deadline.level].format(on=day(deadline.on, language))
            for deadline in letter.deadlines
        ),
        words["rescission"].format(days=letter.rescission_after_days, from_day=from_day),
        *(
            words["told_before"].format(
                invoices=", ".join(map(str, told.invoice_ids)),
                told_on=day(told.told_on, language),
                on=day(told.first_on, language),
            )
            for told in letter.told_before
        ),
    ]


def _invoice(invoice: OwedInvoice, language: Language) -> str:
    words = _WORDS[language]
    said = words["invoice"].format(
        invoice_id=invoice.invoice_id,
        contract_id=invoice.contract_id,
        month=month(invoice.due_on, language),
        due_on=day(invoice.due_on, language),
        unpaid=money(invoice.unpaid_cents, language),
    )
    if invoice.due_cents != invoice.unpaid_cents:
        said += words["with_charges"].format(due=money(invoice.due_cents, language))
    if invoice.copy_and_paste:
        said += f"\n  {words['pix']}\n  {one_line(invoice.copy_and_paste)}"
    return said


def _five_items(letter: Letter, language: Language) -> str:
    """The same five, as short as they can be said: an SMS has room for little."""
    words = _WORDS[language]
    months = sorted({(item.due_on.year, item.due_on.month) for item in letter.invoices})
    ends = [month(date(*months[n], 1), language) for n in ((0, -1) if len(months) > 1 else (0,))]
    days = [deadline.on for deadline in letter.deadlines]
    first = min((*days, *(told.first_on for told in letter.told_before)), default=None)
    waits = words["of_each_notice" if letter.told_before else "not_before"]
    contracts = ", ".join(map(str, sorted(letter.ended)))
    said = words["five_items" if letter.any_runs else "five_items_ended"].format(
        total=money(letter.total_cents, language),
        months=words["until"].join(ends),
        waits=waits.format(days=letter.notice_days),
        cut=words["cut_from"].format(on=day(first, language)) if first is not None else "",
        rescission=letter.rescission_after_days,
        restoring=RESTORE_WITHIN_DAYS,
        contracts=contracts,
    )
    mixed = letter.any_runs and letter.ended
    return said + (words["also_ended"].format(contracts=contracts) if mixed else "")


_WORDS: Mapping[Language, Mapping[str, str]] = {
    "pt_BR": {
        "reason": "As faturas listadas no item 3 venceram e não consta o pagamento delas. A falta"
        " de pagamento é o motivo das medidas abaixo.",
        "nothing_before": "Nada muda no serviço antes de {days} dias contados deste aviso. Se o"
        " débito continuar em aberto:",
        "reduced": "- a partir de {on}, a velocidade poderá ser reduzida;",
        "walled": "- a partir de {on}, o serviço poderá ser suspenso; ficam no ar só a central do"
        " assinante e o pagamento;",
        "blocked": "- a partir de {on}, o serviço poderá ser suspenso por completo;",
        "rescission": "- {days} dias depois da suspensão{from_day}, o contrato poderá ser"
        " rescindido.",
        "from_day": " (a partir de {on})",
        "invoice": "- Fatura {invoice_id}, contrato {contract_id}, referência {month}, vencida em"
        " {due_on}: {unpaid}",
        "with_charges": "; com multa e juros até hoje, {due}",
        "pix": "Pix copia e cola:",
        "bureaus": "Depois da rescisão do contrato, o débito poderá ser registrado em cadastros de"
        " proteção ao crédito.",
        "restoring": "Pago o débito antes da rescisão, o serviço é restabelecido em até {days} dia"
        " contado do conhecimento do pagamento, sem cobrança por isso.",
        "five_items": "Débito de {total}, ref. {months}, em atraso: por falta de pagamento o"
        " serviço poderá ser suspenso {cut}({waits}); {rescission} dias depois,"
        " rescisão; após ela, cadastros de proteção ao crédito. Pago antes, volta em até"
        " {restoring} dia.",
        "nothing_before_anew": "Pelas faturas avisadas agora, nada muda no serviço antes de {days}"
        " dias contados deste aviso. Se o débito continuar em aberto:",
        "told_before": "- da fatura {invoices} já avisamos em {told_on}: os prazos dela contam"
        " daquele aviso, e as medidas podem valer desde {on}.",
        "not_before": "nada antes de {days} dias",
        "of_each_notice": "{days} dias de cada aviso",
        "ended": "- O contrato {contract_id} terminou, e {on} foi o primeiro dia sem serviço: não"
        " há serviço a suspender nem contrato a rescindir.",
        "bureaus_ended": "O contrato já terminou: o débito poderá ser registrado em cadastros de"
        " proteção ao crédito, depois de comunicação própria.",
        "restoring_ended": "O pagamento não restabelece um contrato encerrado. Pago o débito, o"
        " registro que houver é retirado em até cinco dias úteis.",
        "five_items_ended": "Débito de {total}, ref. {months}, em atraso por falta de pagamento,"
        " do contrato encerrado {contracts}: não há serviço a suspender, rescindir ou restabelecer;"
        " o débito poderá ser registrado em cadastros de proteção ao crédito, após comunicação"
        " própria.",
        "also_ended": " Contrato {contracts}: já encerrado.",
        "until": " a ",
        "cut_from": "a partir de {on} ",
    },
    "en": {
        "reason": "The invoices listed under 3 are past their due dates and we have no payment for"
        " them. This is the reason for what follows.",
        "nothing_before": "Nothing changes before {days} days from this notice. If the debt is"
        " still open then:",
        "reduced": "- from {on}, the speed may be reduced;",
        "walled": "- from {on}, the service may be suspended; only your account's pages and payment"
        " stay reachable;",
        "blocked": "- from {on}, the service may be suspended in full;",
        "rescission": "- {days} days after the suspension{from_day}, the contract may be"
        " rescinded.",
        "from_day": " (from {on})",
        "invoice": "- Invoice {invoice_id}, contract {contract_id}, month {month}, due on {due_on}:"
        " {unpaid}",
        "with_charges": "; with fine and interest up to today, {due}",
        "pix": "Pix, to copy and paste:",
        "bureaus": "After the contract is rescinded, the debt may be entered in credit-protection"
        " registers.",
        "restoring": "If the debt is paid before the rescission, the service is restored within"
        " {days} day of our knowing of the payment, at no charge.",
        "five_items": "Debt of {total}, month {months}, overdue: for want of payment the service"
        " may be suspended {cut}({waits}); {rescission} days later, rescission;"
        " after it, credit-protection registers. Paid before, it is back within {restoring} day.",
        "nothing_before_anew": "For the invoices told of now, nothing changes before {days} days"
        " from this notice. If the debt is still open then:",
        "told_before": "- of invoice {invoices} we told on {told_on}: its days run from that"
        " notice, and the measures may hold since {on}.",
        "not_before": "not before {days} days",
        "of_each_notice": "{days} days from each notice",
        "ended": "- Contract {contract_id} has ended, and {on} was the first day without service:"
        " there is no service to suspend and no contract to rescind.",
        "bureaus_ended": "The contract has ended: the debt may be entered in credit-protection"
        " registers, after a letter of its own.",
        "restoring_ended": "Payment does not restore an ended contract. Once the debt is paid, an"
        " entry goes within five business days.",
        "five_items_ended": "Debt of {total}, month {months}, overdue for want of payment, of the"
        " ended contract {contracts}: there is no service to suspend, rescind or restore; the debt"
        " may be entered in credit-protection registers, after a letter of its own.",
        "also_ended": " Contract {contracts}: ended already.",
        "until": " to ",
        "cut_from": "from {on} ",
    },
}
