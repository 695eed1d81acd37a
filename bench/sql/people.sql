-- What one transaction a text has beforehand, and the set-based one has not: everybody's contact and conversation. It
-- makes the cases.
insert into contact (id, workspace_id, address, name, email, created_at)
    select bench_id(), workspace.id, '+1206' || lpad((2000000 + person)::text, 7, '0'), '', '', now()
    from workspace, generate_series(0, {senders} - 1) as person;
insert into conversation (id, line_id, key, contact_id)
    select bench_id(), line.id, contact.address, contact.id from contact, line;
analyze contact, conversation;
