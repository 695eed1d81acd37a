-- What the baselines have beforehand, and casewire has not: everybody's contact and conversation. They make the cases.
-- As casewire has them for its own connections: a plan kept from when a table was small would read all of it for ever.
do $$ begin
    execute format('alter database %I set enable_seqscan = off', current_database());
    execute format('alter database %I set jit = off', current_database());
end $$;
create function bench_id() returns uuid language sql volatile as $$
    -- As uuid version 7: ordered by time, so that indexes grow at one end.
    select encode(
        substring(int8send((extract(epoch from clock_timestamp()) * 1000)::bigint) from 3)
        || substring(uuid_send(gen_random_uuid()) from 7), 'hex')::uuid
$$;
create sequence bench_number start 1001;
insert into contact (id, workspace_id, address, name, email, created_at)
    select bench_id(), workspace.id, '+1206' || lpad((2000000 + person)::text, 7, '0'), '', '', now()
    from workspace, generate_series(0, {senders} - 1) as person;
insert into conversation (id, line_id, key, contact_id)
    select bench_id(), line.id, contact.address, contact.id from contact, line;
analyze contact, conversation;
