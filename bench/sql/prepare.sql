-- What the baselines need. As casewire has them for its own connections: a plan kept from when a table was small would
-- read all of it for ever.
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
