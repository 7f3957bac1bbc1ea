-- Every write to the host's table that affects the index enqueues a job in the writer's own transaction: a rollback removes
-- the job too, and once the write is committed the job cannot be lost.
--
-- Run it once, in one transaction, as the owner of the table and of the queue, after graphile-worker's own migrations.
-- trigger-down.sql removes it.

DO $$
BEGIN
  -- Function bodies are checked only when they run: without this check each write of the host would fail instead.
  IF to_regprocedure('graphile_worker.add_job(text, json, text, timestamptz, integer, text, integer, text[], text)') IS NULL
  THEN
    RAISE EXCEPTION 'graphile_worker.add_job is missing'
      USING HINT = 'Run graphile-worker''s migrations first: npx graphile-worker --schema-only';
  END IF;
END
$$;

CREATE SCHEMA training_trigger;

-- One job per training, however often it changes: the job's key is made from the training's id. The job holds nothing else:
-- what to do is read from the row when the job runs.
--
-- A waiting job is replaced, and may run immediately. A running one may have read the row before this write: add_job then
-- removes its key and adds a new job. If a worker takes the job between two of its statements, add_job does nothing and
-- returns no row (https://github.com/graphile/worker/issues/580): the next call sees that worker.
--
-- The highest possible number of attempts: a job is retried until it succeeds, every exp(10) seconds (6 hours) at least.
CREATE FUNCTION training_trigger.enqueue(training_id integer, job_priority integer DEFAULT 0) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  job_id bigint;
BEGIN
  LOOP
    SELECT id INTO job_id FROM graphile_worker.add_job(
      'index_training',
      json_build_object('id', training_id),
      job_key => 'training:' || training_id,
      job_key_mode => 'replace',
      max_attempts => 32767,
      priority => job_priority
    );
    EXIT WHEN job_id IS NOT NULL;
  END LOOP;
END
$$;

-- SECURITY DEFINER here and below, because the writer's role has no rights on the queue.
CREATE FUNCTION training_trigger.enqueue_row() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF TG_OP <> 'INSERT' THEN
    PERFORM training_trigger.enqueue(OLD.id);
  END IF;
  IF TG_OP = 'INSERT' OR (TG_OP = 'UPDATE' AND NEW.id <> OLD.id) THEN
    PERFORM training_trigger.enqueue(NEW.id);
  END IF;
  RETURN NULL;
END
$$;

-- Other trainings than finalised ones have no vectors, or already have a job.
CREATE FUNCTION training_trigger.enqueue_truncated() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM training_trigger.enqueue(id)
    FROM (SELECT id FROM public.oraculo_treinamento WHERE treinamento_finalizado ORDER BY id) AS gone;
  RETURN NULL;
END
$$;

-- The flag is true exactly while the index has the vectors of the current text. So a writer's statement that changes the text
-- sets it to false, and no writer can set it to true, nor bring back an old value: Django's save() writes every column of the
-- row as it was when it was read.
CREATE FUNCTION training_trigger.guard_flag() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF TG_OP = 'INSERT'
    OR (NEW.id, NEW.conteudo, NEW.tag, NEW.grupo, NEW.treinamento_finalizado)
      IS DISTINCT FROM (OLD.id, OLD.conteudo, OLD.tag, OLD.grupo, OLD.treinamento_finalizado)
  THEN
    NEW.treinamento_vetorizado := false;
  ELSIF current_setting('training_trigger.sets_flag', true) IS DISTINCT FROM 'on' THEN
    NEW.treinamento_vetorizado := OLD.treinamento_vetorizado;
  END IF;
  RETURN NEW;
END
$$;

-- Called by the worker, in the transaction that stores the vectors. The setting is in effect only while the function runs.
CREATE FUNCTION training_trigger.set_flag(training_id integer, vectorised boolean) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp SET training_trigger.sets_flag = 'on' AS $$
  UPDATE public.oraculo_treinamento SET treinamento_vetorizado = vectorised
    WHERE id = training_id AND treinamento_vetorizado <> vectorised
$$;

-- The backfill: enqueues all existing rows, at a lower priority than new writes (a higher number is a lower priority). Use it
-- also after writes that bypassed the triggers, or when the index was created anew. All flags become false, because they may
-- be wrong. Each row is locked before its job, as other writers do, so that they cannot deadlock.
CREATE FUNCTION training_trigger.enqueue_all() RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET training_trigger.sets_flag = 'on' AS $$
DECLARE
  training_id integer;
  enqueued bigint := 0;
BEGIN
  FOR training_id IN SELECT id FROM public.oraculo_treinamento ORDER BY id FOR NO KEY UPDATE LOOP
    UPDATE public.oraculo_treinamento SET treinamento_vetorizado = false
      WHERE id = training_id AND treinamento_vetorizado;
    PERFORM training_trigger.enqueue(training_id, 10);
    enqueued := enqueued + 1;
  END LOOP;
  RETURN enqueued;
END
$$;

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA training_trigger FROM PUBLIC;

-- Triggers of one kind fire in the order of their names: zz_ runs after the host's own triggers, which may change the text.
CREATE TRIGGER zz_training_flag BEFORE INSERT OR UPDATE ON public.oraculo_treinamento
  FOR EACH ROW EXECUTE FUNCTION training_trigger.guard_flag();

CREATE TRIGGER training_written AFTER INSERT OR DELETE ON public.oraculo_treinamento
  FOR EACH ROW EXECUTE FUNCTION training_trigger.enqueue_row();

-- Not `UPDATE OF conteudo, ...`: that tests which columns a statement names, and Django's save() names them all.
CREATE TRIGGER training_changed AFTER UPDATE ON public.oraculo_treinamento
  FOR EACH ROW
  WHEN ((NEW.id, NEW.conteudo, NEW.tag, NEW.grupo, NEW.treinamento_finalizado)
    IS DISTINCT FROM (OLD.id, OLD.conteudo, OLD.tag, OLD.grupo, OLD.treinamento_finalizado))
  EXECUTE FUNCTION training_trigger.enqueue_row();

CREATE TRIGGER training_truncated BEFORE TRUNCATE ON public.oraculo_treinamento
  FOR EACH STATEMENT EXECUTE FUNCTION training_trigger.enqueue_truncated();
