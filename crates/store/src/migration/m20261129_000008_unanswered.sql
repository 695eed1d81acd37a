-- Since when a person's answer is waited for: decisions keep it, where a query had to read every text of every open case.
alter table "case" add column unanswered_since {time};

update "case" set unanswered_since = waiting.since from (
    select c.id, min(m.received_at) as since from "case" c join message m on m.case_id = c.id
        where c.status <> 'closed' and m.direction = 'inbound' and not exists (
            select 1 from message r where r.case_id = m.case_id and r.received_at >= m.received_at
                and r.direction = 'outbound' and not r.automatic)
        group by c.id) as waiting
    where waiting.id = "case".id;
