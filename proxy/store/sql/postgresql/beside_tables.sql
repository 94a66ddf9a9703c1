-- What the schema has beside tables. Every statement of a VOLATILE function sees what was committed before it.

-- The audit is only added to. A role that owns the table can still change this (SECURITY.md).
CREATE FUNCTION michiq_only_added_to() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'the audit is only added to';
END $$;
CREATE TRIGGER audit_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON audit
  FOR EACH STATEMENT EXECUTE FUNCTION michiq_only_added_to();

-- Leases and tickets may be lost with the server: then their process writes nothing more under its locks.
-- So these transactions wait for no disk.
CREATE FUNCTION michiq_quickly() RETURNS void LANGUAGE sql VOLATILE AS $$
  SELECT set_config('synchronous_commit', 'off', true)
$$;

CREATE FUNCTION michiq_join(member text, seconds double precision) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
BEGIN
  PERFORM michiq_quickly();
  INSERT INTO members (name, until) VALUES (member, clock_timestamp() + make_interval(secs => seconds));
END $$;

-- Ends the leases that are past, and notes the locks that their processes held: whoever holds such a lock next
-- can't rely on what that process had begun.
CREATE FUNCTION michiq_reap() RETURNS void LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  dead text[];
BEGIN
  SELECT array_agg(past.name) INTO dead FROM (
    SELECT name FROM members WHERE until < clock_timestamp() ORDER BY name FOR UPDATE SKIP LOCKED
  ) past;
  IF dead IS NULL THEN
    RETURN;
  END IF;
  INSERT INTO lapsed (key)
    SELECT DISTINCT t.key FROM tickets t
    WHERE t.member = ANY (dead)
      AND NOT EXISTS (SELECT 1 FROM tickets o WHERE o.key = t.key AND o.id < t.id AND o.member <> ALL (dead))
    ON CONFLICT (key) DO UPDATE SET at = excluded.at;
  DELETE FROM members WHERE name = ANY (dead);
  PERFORM pg_notify('michiq_locks', '');
END $$;

-- Renews a lease that is there, and never makes one; then ends those that are past, if it may.
CREATE FUNCTION michiq_renew(member text, seconds double precision, reaps boolean) RETURNS boolean
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
  PERFORM michiq_quickly();
  UPDATE members SET until = clock_timestamp() + make_interval(secs => seconds) WHERE name = member;
  IF NOT FOUND THEN
    RETURN false;
  END IF;
  IF reaps THEN
    PERFORM michiq_reap();
  END IF;
  RETURN true;
END $$;

-- Takes a ticket, under the lock of its key, and returns whether it holds. Without that lock two could hold: a
-- number is given when a row is made, and is seen only when that is committed.
CREATE FUNCTION michiq_take(lock_key text, lock_nonce text, taker text)
RETURNS TABLE (ticket bigint, holds boolean, was_lost boolean) LANGUAGE plpgsql VOLATILE AS $$
BEGIN
  PERFORM michiq_quickly();
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
