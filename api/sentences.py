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

STAGES: dict[Lang, dict[str, str]] = {
    "pt-BR": {
        "rescind": "rescisão",
        "bureau": "cadastros de crédito",
        "agency": "cobrança externa",
    },
    "en": {"rescind": "rescission", "bureau": "credit bureaus", "agency": "collection agency"},
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
        "kill_switch": "os cortes estão desligados",
        "guard": "a guarda retém os cortes",
        "stale_feed": "as notícias de pagamento estão atrasadas",
        "outage": "falha conhecida no local do cliente",
        "never_block": "a classe do cliente não é cortada",
        "agreement": "um acordo assinado espera o primeiro pagamento",
        "paused": "suspensão pedida pelo cliente",
        "below_minimum": "o débito está abaixo do mínimo",
        "quota_spent": "a franquia de tráfego do ciclo foi usada",
        "quota_renewed": "começou um novo ciclo da franquia de tráfego",
        "quota_changed": "o plano, a franquia ou o dia de renovação mudou",
        "rates_changed": "o plano ou o bônus de bom pagador mudou a velocidade",
        # Not of a decision: why a line was dropped.
        "surplus": "uma conexão além do plano",
        "ended": "o contrato terminou",
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
        "kill_switch": "cuts are switched off",
        "guard": "a guard holds the cuts back",
        "stale_feed": "news of payments is late",
        "outage": "a known outage at the customer's place",
        "never_block": "the customer's class is never cut",
        "agreement": "a signed agreement waits for its first payment",
        "paused": "the customer asked to suspend the service",
        "below_minimum": "the debt is below the minimum",
        "quota_spent": "the traffic quota of this cycle is used up",
        "quota_renewed": "a new cycle of the traffic quota has begun",
        "quota_changed": "the plan, its quota or the reset day changed",
        "rates_changed": "the plan or a good payer's bonus changed the speed",
        "surplus": "one line more than the plan allows",
        "ended": "the contract has ended",
    },
}

FLAWS: dict[Lang, dict[str, str]] = {
    "pt-BR": {
        "negative": "devolve mais do que cobra",
        "above_bound": "muito acima do preço mensal",
        "billed_twice": "o mesmo serviço cobrado duas vezes no mesmo dia",
        "too_many_lines": "linhas demais para um serviço",
    },
    "en": {
        "negative": "it gives back more than it charges",
        "above_bound": "far above the monthly price",
        "billed_twice": "the same service charged twice for a day",
        "too_many_lines": "too many lines for one service",
    },
}

# Whose choice the policy is that a contract follows.
CHOICES: dict[Lang, dict[str, str]] = {
    "pt-BR": {
        "contract": "escolhida para o contrato",
        "class": "a da classe do cliente",
        "region": "a da região",
        "plan": "a do plano",
        "default": "a que todos seguem",
    },
    "en": {
        "contract": "chosen for the contract",
        "class": "the customer's class follows it",
        "region": "the region follows it",
        "plan": "the plan follows it",
        "default": "the one that all follow",
    },
}

# Why a record leaves a bureau, or an account an agency.
REMOVALS: dict[Lang, dict[str, str]] = {
    "pt-BR": {
        "paid": "o débito foi pago",
        "renegotiated": "o débito foi renegociado",
        "disputed": "o débito foi contestado",
        "prescribed": "o débito faz cinco anos",
        "amount_changed": "o valor devido mudou",
        "cancelled": "o débito deixou de existir",
        "by_hand": "uma pessoa o decidiu",
    },
    "en": {
        "paid": "the debt was paid",
        "renegotiated": "the debt was agreed on anew",
        "disputed": "the debt is in dispute",
        "prescribed": "the debt becomes five years old",
        "amount_changed": "what is owed has changed",
        "cancelled": "the debt exists no longer",
        "by_hand": "a person decided so",
    },
}

# (with amounts, without)
SENTENCES: dict[Lang, dict[str, tuple[str, str]]] = {
    "pt-BR": {
        "contract_created": ("Contrato {id} criado, plano {plan}.",) * 2,
        "invoice_issued": (
            "Fatura {id} de {amount} emitida{period}, com vencimento em {due_on}.",
            "Fatura {id} emitida{period}, com vencimento em {due_on}.",
        ),
        "invoice_parked": (
            "Fatura de {amount} com vencimento em {due_on} retida, não emitida: {flaw_names}.",
            "Fatura com vencimento em {due_on} retida, não emitida: {flaw_names}.",
        ),
        "invoice_credited": (
            "Nota de crédito de {amount} na fatura {invoice_id}, por {author}: {reason}.",
            "Nota de crédito na fatura {invoice_id}, por {author}: {reason}.",
        ),
        "invoice_debited": (
            "Nota de débito de {amount} na fatura {invoice_id}, por {author}: {reason}.",
            "Nota de débito na fatura {invoice_id}, por {author}: {reason}.",
        ),
        "invoice_voided": ("Fatura {invoice_id} cancelada por {author}: {reason}.",) * 2,
        "invoice_written_off": (
            "{amount} da fatura {invoice_id} baixados como perda por {author}: {reason}.",
            "Fatura {invoice_id} baixada como perda por {author}: {reason}.",
        ),
        "contract_plan_changed": ("{author} mudou o plano para {plan} a partir de {from_on}.",) * 2,
        "contract_due_day_changed": (
            "{author} mudou o vencimento para o dia {day}, a partir do ciclo de {from_on}.",
        )
        * 2,
        "contract_ended": (
            "{author} encerrou o contrato; {ended_on} é o primeiro dia sem serviço.{penalty}",
            "{author} encerrou o contrato; {ended_on} é o primeiro dia sem serviço.",
        ),
        "credit_applied": ("Contrato feito segundo a análise de crédito {analysis_id}: {outcome}.",)
        * 2,
        "listing_letter_drawn": ("Comunicação {letter_id} de futuro registro em birô preparada.",)
        * 2,
        "listing_letter_proven": (
            "Comunicação {letter_id} de futuro registro entregue por {channel}.",
        )
        * 2,
        "listing_letter_failed": ("Comunicação {letter_id} não pôde ser entregue.",) * 2,
        "listing_letter_unproven": (
            "Comunicação {letter_id} voltou ({reason}); nada conta a partir dela.",
        )
        * 2,
        "listing_listed": (
            "Débito de {amount} da fatura {invoice_id} registrado em {bureau}.",
            "Débito da fatura {invoice_id} registrado em {bureau}.",
        ),
        "listing_refused": ("{bureau} recusou o registro da fatura {invoice_id} ({detail}).",) * 2,
        "listing_withdrawal_decided": (
            "Registro da fatura {invoice_id} sai de {bureau} até {last_on}, porque {removal_name}.",
        )
        * 2,
        "listing_removed": ("Registro da fatura {invoice_id} retirado de {bureau}.",) * 2,
        "listing_cancelled": ("O registro da fatura {invoice_id} em {bureau} não foi feito.",) * 2,
        "listing_alarm": (
            "Alarme: o registro {listing_id} ainda não saiu; o prazo termina em {last_on}.",
        )
        * 2,
        "handover_made": (
            "Débito de {amount} entregue à cobradora {agency_id}, conta {handover_id}.",
            "Débito entregue à cobradora {agency_id}, conta {handover_id}.",
        ),
        "handover_withdrawn": (
            "Conta {handover_id} retirada da cobradora {agency_id}, porque {removal_name}.",
        )
        * 2,
        "notice_drawn": (
            "Notificação {id} preparada: faturas {covered}, {covered_amount} em aberto.",
            "Notificação {id} preparada: faturas {covered}.",
        ),
        "notice_proven": ("Notificação {id} entregue por {channel}; o prazo corre desde então.",)
        * 2,
        "notice_failed": ("Notificação {id} não pôde ser entregue.",) * 2,
        "notice_accepted": (
            "Notificação {notice_id} aceita por {channel}; aguarda a confirmação de entrega.",
        )
        * 2,
        "notice_refused": ("Notificação {notice_id} recusada por {channel}: {reason}.",) * 2,
        "notice_undelivered": ("Notificação {notice_id} não foi entregue por {channel}: {reason}.",)
        * 2,
        "notice_bounced": (
            "Notificação {notice_id} voltou por {channel}: {reason}; não conta mais como entregue.",
        )
        * 2,
        "notice_unconfirmed": (
            "Notificação {notice_id}: sem confirmação de entrega por {channel} no prazo.",
        )
        * 2,
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
        "exemption_placed": (
            "{author} isentou o contrato de cortes e lembretes até {expires_at}: {reason}.",
        )
        * 2,
        "hold_ended": (
            "{ended_by} encerrou antes do prazo o que {author} suspendeu: {end_reason}.",
        )
        * 2,
        "outage_started": ("Falha no local do cliente: {reason}; nenhum corte enquanto durar.",)
        * 2,
        "outage_ended": ("Falha no local do cliente resolvida: {reason}.",) * 2,
        "contract_placed": ("{author} registrou o local: {place}.",) * 2,
        "contract_classed": ("{author} registrou a classe do cliente: {class_name}; {reason}.",)
        * 2,
        "contract_policy_changed": (
            "O contrato passa da política {before} para {policy}, {because_text}.",
        )
        * 2,
        "payment_posted": (
            "Pagamento {id} de {amount} recebido por {method}.",
            "Pagamento {id} recebido por {method}.",
        ),
        "payment_assigned": ("Pagamento {id}, que aguardava identificação, creditado ao cliente.",)
        * 2,
        "payment_refunded": (
            "{amount} do pagamento {payment_id} devolvidos ao cliente por {author}: {reason}.",
            "Pagamento {payment_id} devolvido ao cliente por {author}: {reason}.",
        ),
        "payment_charged_back": (
            "{amount} do pagamento {payment_id} estornados pelo banco: {reason}.",
            "Pagamento {payment_id} estornado pelo banco: {reason}.",
        ),
        "payment_returned": (
            "{amount} do pagamento {payment_id} voltaram por devolução do Pix: {reason}.",
            "Pagamento {payment_id} voltou por devolução do Pix: {reason}.",
        ),
        "access_decided": (
            "Decidido: {level_name} (geração {generation}), porque {reason_text};"
            " débito contado {counted}. Política {policy}, versão {policy_version}.{review}",
            "Decidido: {level_name} (geração {generation}), porque {reason_text}."
            " Política {policy}, versão {policy_version}.{review}",
        ),
        "stage_rescind": (
            "Contrato rescindido por falta de pagamento: hoje é o último dia com login; débito"
            " contado {counted}. Política {policy}, versão {policy_version}.",
            "Contrato rescindido por falta de pagamento: hoje é o último dia com login. Política"
            " {policy}, versão {policy_version}.",
        ),
        "stage_bureau": (
            "O débito de {counted} vai aos cadastros de proteção ao crédito.",
            "O débito vai aos cadastros de proteção ao crédito.",
        ),
        "stage_agency": (
            "O débito de {counted} vai à empresa de cobrança.",
            "O débito vai à empresa de cobrança.",
        ),
        "stage_left": ("Fim da etapa {stage_name}: {left_text}.",) * 2,
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
            "Invoice {id} of {amount} issued{period}, due on {due_on}.",
            "Invoice {id} issued{period}, due on {due_on}.",
        ),
        "invoice_parked": (
            "Invoice of {amount} due on {due_on} parked, not issued: {flaw_names}.",
            "Invoice due on {due_on} parked, not issued: {flaw_names}.",
        ),
        "invoice_credited": (
            "Credit note of {amount} on invoice {invoice_id}, by {author}: {reason}.",
            "Credit note on invoice {invoice_id}, by {author}: {reason}.",
        ),
        "invoice_debited": (
            "Debit note of {amount} on invoice {invoice_id}, by {author}: {reason}.",
            "Debit note on invoice {invoice_id}, by {author}: {reason}.",
        ),
        "invoice_voided": ("Invoice {invoice_id} voided by {author}: {reason}.",) * 2,
        "invoice_written_off": (
            "{amount} of invoice {invoice_id} written off by {author}: {reason}.",
            "Invoice {invoice_id} written off by {author}: {reason}.",
        ),
        "contract_plan_changed": ("{author} changed the plan to {plan} from {from_on}.",) * 2,
        "contract_due_day_changed": (
            "{author} changed the due day to {day}, from the cycle of {from_on}.",
        )
        * 2,
        "contract_ended": (
            "{author} ended the contract; {ended_on} is the first day without service.{penalty}",
            "{author} ended the contract; {ended_on} is the first day without service.",
        ),
        "credit_applied": ("Contract made on credit analysis {analysis_id}: {outcome}.",) * 2,
        "listing_letter_drawn": ("Letter {letter_id} of a listing to come drawn.",) * 2,
        "listing_letter_proven": (
            "Letter {letter_id} of a listing to come delivered by {channel}.",
        )
        * 2,
        "listing_letter_failed": ("Letter {letter_id} could not be delivered.",) * 2,
        "listing_letter_unproven": (
            "Letter {letter_id} came back ({reason}); nothing counts from it.",
        )
        * 2,
        "listing_listed": (
            "Debt of {amount} of invoice {invoice_id} listed at {bureau}.",
            "Debt of invoice {invoice_id} listed at {bureau}.",
        ),
        "listing_refused": ("{bureau} refused to list invoice {invoice_id} ({detail}).",) * 2,
        "listing_withdrawal_decided": (
            "The record of invoice {invoice_id} leaves {bureau} by {last_on}, because"
            " {removal_name}.",
        )
        * 2,
        "listing_removed": ("The record of invoice {invoice_id} was removed from {bureau}.",) * 2,
        "listing_cancelled": ("The record of invoice {invoice_id} at {bureau} was not made.",) * 2,
        "listing_alarm": ("Alarm: record {listing_id} is still there; its last day is {last_on}.",)
        * 2,
        "handover_made": (
            "Debt of {amount} handed over to agency {agency_id}, account {handover_id}.",
            "Debt handed over to agency {agency_id}, account {handover_id}.",
        ),
        "handover_withdrawn": (
            "Account {handover_id} taken back from agency {agency_id}, because {removal_name}.",
        )
        * 2,
        "notice_drawn": (
            "Notice {id} drawn: invoices {covered}, {covered_amount} unpaid.",
            "Notice {id} drawn: invoices {covered}.",
        ),
        "notice_proven": ("Notice {id} delivered by {channel}; its days run from here.",) * 2,
        "notice_failed": ("Notice {id} could not be delivered.",) * 2,
        "notice_accepted": (
            "Notice {notice_id} accepted by {channel}; its delivery is to be confirmed.",
        )
        * 2,
        "notice_refused": ("Notice {notice_id} refused by {channel}: {reason}.",) * 2,
        "notice_undelivered": ("Notice {notice_id} not delivered by {channel}: {reason}.",) * 2,
        "notice_bounced": (
            "Notice {notice_id} came back by {channel}: {reason}; it counts as delivered no more.",
        )
        * 2,
        "notice_unconfirmed": (
            "Notice {notice_id}: no confirmation of its delivery by {channel} in time.",
        )
        * 2,
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
        "exemption_placed": (
            "{author} exempted the contract from cuts and reminders until {expires_at}: {reason}.",
        )
        * 2,
        "hold_ended": ("{ended_by} ended early what {author} had held back: {end_reason}.",) * 2,
        "outage_started": ("Outage at the customer's place: {reason}; no cut while it lasts.",) * 2,
        "outage_ended": ("The outage at the customer's place is over: {reason}.",) * 2,
        "contract_placed": ("{author} recorded the place: {place}.",) * 2,
        "contract_classed": ("{author} recorded the customer's class: {class_name}; {reason}.",)
        * 2,
        "contract_policy_changed": (
            "The contract moves from policy {before} to {policy}: {because_text}.",
        )
        * 2,
        "payment_posted": (
            "Payment {id} of {amount} received by {method}.",
            "Payment {id} received by {method}.",
        ),
        "payment_assigned": ("Payment {id}, which had waited in suspense, given to the payer.",)
        * 2,
        "payment_refunded": (
            "{amount} of payment {payment_id} sent back to the payer by {author}: {reason}.",
            "Payment {payment_id} sent back to the payer by {author}: {reason}.",
        ),
        "payment_charged_back": (
            "{amount} of payment {payment_id} taken back by the bank: {reason}.",
            "Payment {payment_id} taken back by the bank: {reason}.",
        ),
        "payment_returned": (
            "{amount} of payment {payment_id} went back as a returned Pix: {reason}.",
            "Payment {payment_id} went back as a returned Pix: {reason}.",
        ),
        "access_decided": (
            "Decided: {level_name} (generation {generation}), because {reason_text};"
            " counted debt {counted}. Policy {policy}, version {policy_version}.{review}",
            "Decided: {level_name} (generation {generation}), because {reason_text}."
            " Policy {policy}, version {policy_version}.{review}",
        ),
        "stage_rescind": (
            "Contract rescinded for want of payment: today is the last day with a login; counted"
            " debt {counted}. Policy {policy}, version {policy_version}.",
            "Contract rescinded for want of payment: today is the last day with a login. Policy"
            " {policy}, version {policy_version}.",
        ),
        "stage_bureau": (
            "The debt of {counted} goes to the credit bureaus.",
            "The debt goes to the credit bureaus.",
        ),
        "stage_agency": (
            "The debt of {counted} goes to the collection agency.",
            "The debt goes to the collection agency.",
        ),
        "stage_left": ("The stage {stage_name} is over: {left_text}.",) * 2,
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
