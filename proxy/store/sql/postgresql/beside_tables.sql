-- What the schema has beside tables. Every statement of a VOLATILE function sees what was committed before it.

-- The audit is only added to. A role that owns the table can still change this (SECURITY.md).
CREATE FUNCTION michiq_only_added_to() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'the audit is only added to';
END $$;
CREATE TRIGGER audit_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON audit
  FOR EACH STATEMENT EXECUTE FUNCTION michiq_only_added_to();

-- Renewals, and tickets given back, may be lost with the server: a lost one is done again. So these transactions
-- wait for no disk.
CREATE FUNCTION michiq_quickly() RETURNS void LANGUAGE sql VOLATILE AS $$
  SELECT set_config('synchronous_commit', 'off', true)
$$;

CREATE FUNCTION michiq_join(member text, seconds double precision) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
BEGIN
  PERFORM michiq_quickly();
  INSERT INTO members (name, until) VALUES (member, clock_timestamp() + make_interval(secs => seconds));
END $$;

-- Renews a lease that is there, and never makes one. Returns whether it was there, whether leases of others are
-- past, and the tickets that its process has: keys and nonces, in the same order.
CREATE FUNCTION michiq_renew(member_name text, seconds double precision)
RETURNS TABLE (renewed boolean, others_past boolean, keys text[], nonces text[])
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
  PERFORM michiq_quickly();
  UPDATE members SET until = clock_timestamp() + make_interval(secs => seconds) WHERE name = member_name;
  renewed := FOUND;
  others_past := EXISTS (SELECT 1 FROM members WHERE until < clock_timestamp());
  SELECT array_agg(t.key ORDER BY t.id), array_agg(t.nonce ORDER BY t.id) INTO keys, nonces
    FROM tickets t WHERE t.member = member_name;
  RETURN NEXT;
END $$;

-- Ends the leases that are past, and notes the locks of their processes: whoever holds such a lock next can't
-- rely on what was begun under it. It waits for nobody: a process that was stopped in the middle of a guarded
-- write has its ticket locked, and is left to a later call.
CREATE FUNCTION michiq_reap() RETURNS void LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  past text;
  has bigint;
  free bigint;
BEGIN
  PERFORM michiq_quickly();
  FOR past IN
    SELECT name FROM members WHERE until < clock_timestamp() ORDER BY name FOR UPDATE SKIP LOCKED
  LOOP
    SELECT count(*) INTO has FROM tickets WHERE member = past;
    SELECT count(*) INTO free FROM (SELECT 1 FROM tickets WHERE member = past FOR UPDATE SKIP LOCKED) locked;
    CONTINUE WHEN free < has;
    INSERT INTO lapsed (key) SELECT DISTINCT key FROM tickets WHERE member = past
      ON CONFLICT (key) DO UPDATE SET at = clock_timestamp();
    DELETE FROM members WHERE name = past;
    PERFORM pg_notify('michiq_locks', '');
  END LOOP;
END $$;

-- Takes a ticket, under the lock of its key, and returns whether it holds. Without that lock two could hold: a
-- number is given when a row is made, and is seen only when that is committed. Its commit waits for the disk, and
-- for the standby: a holder whose ticket is lost in a failover leaves no note for the next one.
CREATE FUNCTION michiq_take(lock_key text, lock_nonce text, taker text)
RETURNS TABLE (ticket bigint, holds boolean, was_lost boolean) LANGUAGE plpgsql VOLATILE AS $$
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended(lock_key, 1));
  INSERT INTO tickets (key, nonce, member) VALUES (lock_key, lock_nonce, taker) RETURNING id INTO ticket;
  holds := NOT EXISTS (SELECT 1 FROM tickets t WHERE t.key = lock_key AND t.id < ticket);
  was_lost := EXISTS (SELECT 1 FROM lapsed l WHERE l.key = lock_key);
  RETURN NEXT;
END $$;

-- Gives a ticket back, and wakes those who wait. `clean` ends the note of an earlier holder that was lost.
CREATE FUNCTION michiq_give_back(lock_key text, lock_nonce text, clean boolean) RETURNS void
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
  PERFORM michiq_quickly();
  DELETE FROM tickets WHERE key = lock_key AND nonce = lock_nonce;
  IF NOT FOUND THEN
    RETURN;
  END IF;
  IF clean THEN
    DELETE FROM lapsed WHERE key = lock_key;
  END IF;
  IF EXISTS (SELECT 1 FROM tickets WHERE key = lock_key) THEN
    PERFORM pg_notify('michiq_locks', '');
  END IF;
END $$;
