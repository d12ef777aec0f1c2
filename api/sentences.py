"""The sentences in which a contract's life is told, by language. Data alone."""

from typing import Literal

Lang = Literal["pt-BR", "en"]

LEVELS: dict[Lang, dict[str, str]] = {
    "pt-BR": {
        "full": "velocidade plena",
        "quota": "velocidade da franquia usada, até {until}",
        "reduced": "velocidade reduzida",
        "walled": "acesso só à página de pagamento",
        "blocked": "acesso bloqueado",
    },
    "en": {
        "full": "full speed",
        "quota": "the speed of a used up quota, until {until}",
        "reduced": "reduced speed",
        "walled": "the pay page only",
        "blocked": "no access",
    },
}

REASONS: dict[Lang, dict[str, str]] = {
    "pt-BR": {
        "no_debt": "nenhum débito vencido e notificado",
        "not_overdue": "nada vencido",
        "awaiting_notice": "débito vencido, ainda sem notificação entregue",
        "notice_running": "o prazo da notificação ainda corre",
        "awaiting_step": "o prazo terminou; a primeira etapa ainda não chegou",
        "step_reached": "o prazo da notificação terminou sem pagamento",
        "awaiting_allowed_time": "o corte espera dia e hora permitidos",
        "promise": "promessa de pagamento em vigor",
        "hold": "suspensão do corte por um operador",
        "agreement": "um acordo assinado espera o primeiro pagamento",
        "paused": "suspensão pedida pelo cliente",
        "below_minimum": "o débito está abaixo do mínimo",
        "quota_spent": "a franquia de tráfego do ciclo foi usada",
        "quota_renewed": "começou um novo ciclo da franquia de tráfego",
        "quota_changed": "o plano, a franquia ou o dia de renovação mudou",
        "rates_changed": "o plano ou o bônus de bom pagador mudou a velocidade",
        # Not of a decision: why a line was dropped.
        "surplus": "uma conexão além do plano",
    },
    "en": {
        "no_debt": "no overdue debt that a notice covers",
        "not_overdue": "nothing is overdue",
        "awaiting_notice": "overdue debt without a delivered notice yet",
        "notice_running": "the notice's days are still running",
        "awaiting_step": "the notice's days ended; the first step is still ahead",
        "step_reached": "the notice's days ended without payment",
        "awaiting_allowed_time": "the cut waits for an allowed day and hour",
        "promise": "a promise to pay is in force",
        "hold": "an operator holds the cut back",
        "agreement": "a signed agreement waits for its first payment",
        "paused": "the customer asked to suspend the service",
        "below_minimum": "the debt is below the minimum",
        "quota_spent": "the traffic quota of this cycle is used up",
        "quota_renewed": "a new cycle of the traffic quota has begun",
        "quota_changed": "the plan, its quota or the reset day changed",
        "rates_changed": "the plan or a good payer's bonus changed the speed",
        "surplus": "one line more than the plan allows",
    },
}

# (with amounts, without)
SENTENCES: dict[Lang, dict[str, tuple[str, str]]] = {
    "pt-BR": {
        "contract_created": ("Contrato {id} criado, plano {plan}.",) * 2,
        "invoice_issued": (
            "Fatura {id} de {amount} emitida, com vencimento em {due_on}.",
            "Fatura {id} emitida, com vencimento em {due_on}.",
        ),
        "notice_drawn": (
            "Notificação {id} preparada: faturas {covered}, {covered_amount} em aberto.",
            "Notificação {id} preparada: faturas {covered}.",
        ),
        "notice_proven": ("Notificação {id} entregue por {channel}; o prazo corre desde então.",)
        * 2,
        "notice_failed": ("Notificação {id} não pôde ser entregue.",) * 2,
        "promise_taken": ("{author} registrou promessa de pagamento até {until_on}.",) * 2,
        "promise_kept": ("Promessa de pagamento até {until_on} cumprida.",) * 2,
        "promise_broken": ("Promessa de pagamento até {until_on} descumprida.",) * 2,
        "agreement_offered": (
            "{author} ofereceu o acordo {id}, em {parts} parcela(s), válido até {valid_until}.",
        )
        * 2,
        "agreement_accepted": ("Acordo {id} assinado, registrado por {accepted_by}.",) * 2,
        "agreement_expired": ("O acordo {id} não foi aceito até {valid_until} e expirou.",) * 2,
        "agreement_kept": ("Acordo {id} cumprido: todas as parcelas pagas.",) * 2,
        "agreement_broken": (
            "Acordo {id} descumprido: o débito original volta, abatido do que foi pago.",
        )
        * 2,
        "dispute_opened": (
            "Contestação {id}: {amount} da fatura {invoice_id}, porque {reason};"
            " a cobrança dessa parte está suspensa.",
            "Contestação {id} da fatura {invoice_id}: {reason};"
            " a cobrança da parte contestada está suspensa.",
        ),
        "dispute_accepted": ("Contestação {id} aceita por {answered_by}: {answer}.",) * 2,
        "dispute_rejected": ("Contestação {id} rejeitada por {answered_by}: {answer}.",) * 2,
        "dispute_unanswered": (
            "Contestação {id} sem resposta no prazo: decidida a favor do cliente.",
        )
        * 2,
        "pause_taken": (
            "Suspensão do serviço a pedido do cliente, de {from_on} a {until_on}, registrada por"
            " {author}.",
        )
        * 2,
        "pause_ended": ("O cliente encerrou a suspensão que havia pedido.",) * 2,
        "hold_placed": ("{author} suspendeu o corte até {expires_at}: {reason}.",) * 2,
        "payment_posted": (
            "Pagamento {id} de {amount} recebido por {method}.",
            "Pagamento {id} recebido por {method}.",
        ),
        "access_decided": (
            "Decidido: {level_name} (geração {generation}), porque {reason_text};"
            " débito contado {counted}. Política {policy}, versão {policy_version}.{review}",
            "Decidido: {level_name} (geração {generation}), porque {reason_text}."
            " Política {policy}, versão {policy_version}.{review}",
        ),
        "action_ack": (
            "{sent} da geração {generation} aceito por {nas}, sessão {acct_session_id},{took}"
            " após {sends} envio(s).",
        )
        * 2,
        "action_nak": (
            "{sent} da geração {generation} recusado por {nas}{cause}, sessão {acct_session_id}.",
        )
        * 2,
        "action_silence": (
            "{nas} não respondeu ao {sent} da geração {generation} após {sends} envio(s).",
        )
        * 2,
        "action_superseded": (
            "{sent} da geração {generation} a {nas} deixado de lado: há decisão mais nova.",
        )
        * 2,
    },
    "en": {
        "contract_created": ("Contract {id} created, plan {plan}.",) * 2,
        "invoice_issued": (
            "Invoice {id} of {amount} issued, due on {due_on}.",
            "Invoice {id} issued, due on {due_on}.",
        ),
        "notice_drawn": (
            "Notice {id} drawn: invoices {covered}, {covered_amount} unpaid.",
            "Notice {id} drawn: invoices {covered}.",
        ),
        "notice_proven": ("Notice {id} delivered by {channel}; its days run from here.",) * 2,
        "notice_failed": ("Notice {id} could not be delivered.",) * 2,
        "promise_taken": ("{author} took a promise to pay by {until_on}.",) * 2,
        "promise_kept": ("The promise to pay by {until_on} was kept.",) * 2,
        "promise_broken": ("The promise to pay by {until_on} was broken.",) * 2,
        "agreement_offered": (
            "{author} offered agreement {id}, in {parts} part(s), open until {valid_until}.",
        )
        * 2,
        "agreement_accepted": ("Agreement {id} signed, recorded by {accepted_by}.",) * 2,
        "agreement_expired": ("Agreement {id} was not accepted by {valid_until} and expired.",) * 2,
        "agreement_kept": ("Agreement {id} kept: every part is paid.",) * 2,
        "agreement_broken": ("Agreement {id} broken: the old debt is back, less what was paid.",)
        * 2,
        "dispute_opened": (
            "Dispute {id}: {amount} of invoice {invoice_id}, because {reason};"
            " nobody collects that part.",
            "Dispute {id} of invoice {invoice_id}: {reason}; nobody collects the disputed part.",
        ),
        "dispute_accepted": ("Dispute {id} accepted by {answered_by}: {answer}.",) * 2,
        "dispute_rejected": ("Dispute {id} rejected by {answered_by}: {answer}.",) * 2,
        "dispute_unanswered": ("Dispute {id} was not answered in time: decided for the customer.",)
        * 2,
        "pause_taken": (
            "Service suspended as the customer asked, from {from_on} to {until_on}, recorded by"
            " {author}.",
        )
        * 2,
        "pause_ended": ("The customer ended the suspension.",) * 2,
        "hold_placed": ("{author} held the cut back until {expires_at}: {reason}.",) * 2,
        "payment_posted": (
            "Payment {id} of {amount} received by {method}.",
            "Payment {id} received by {method}.",
        ),
        "access_decided": (
            "Decided: {level_name} (generation {generation}), because {reason_text};"
            " counted debt {counted}. Policy {policy}, version {policy_version}.{review}",
            "Decided: {level_name} (generation {generation}), because {reason_text}."
            " Policy {policy}, version {policy_version}.{review}",
        ),
        "action_ack": (
            "{sent} of generation {generation} acknowledged by {nas}, session"
            " {acct_session_id},{took} after {sends} send(s).",
        )
        * 2,
        "action_nak": (
            "{sent} of generation {generation} refused by {nas}{cause}, session {acct_session_id}.",
        )
        * 2,
        "action_silence": (
            "{nas} did not answer the {sent} of generation {generation} after {sends} send(s).",
        )
        * 2,
        "action_superseded": (
            "{sent} of generation {generation} to {nas} dropped: there is a newer decision.",
        )
        * 2,
    },
}
