-- Keeps jobs and the flag treinamento_vetorizado in step with the table, whoever writes to it: in the writer's own transaction, so
-- that what is rolled back leaves no job. Needs the schema of graphile-worker (its worker makes it on its first start).

-- SECURITY DEFINER: the writers need no rights on the queue. search_path: no name of theirs is looked up.
CREATE FUNCTION oraculo_treinamento_enqueue(treinamento integer) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  job_id bigint;
BEGIN
  -- One waiting job a training: the last write counts. A job that runs at this moment has read what was before; its key is taken
  -- off it, and a new job follows. Where a worker takes the waiting job in the middle of add_job, graphile-worker 0.16 changes
  -- nothing and adds nothing (https://github.com/graphile/worker/issues/580): it returns no job then, and is asked again.
  LOOP
    SELECT id INTO job_id FROM graphile_worker.add_job(
      'sync_training',
      json_build_object('id', treinamento),
      job_key => 'training:' || treinamento
    );
    EXIT WHEN job_id IS NOT NULL;
  END LOOP;
END
$$;

-- The flag says whether the vectors are those of the text. Only the worker can know: it says so by a setting of its transaction. From
-- everybody else the flag is what it was, and false where the text is new; so a writer who saves all columns of a row that was read
-- a while ago, as Django does, does no harm.
CREATE FUNCTION oraculo_treinamento_flag() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF current_setting('oraculo.vetorizador', true) = 'on' THEN
    RETURN NEW;
  END IF;
  NEW.treinamento_vetorizado := TG_OP = 'UPDATE'
    AND OLD.treinamento_vetorizado
    AND (OLD.id, OLD.tag, OLD.grupo, OLD.conteudo, OLD.treinamento_finalizado)
      IS NOT DISTINCT FROM (NEW.id, NEW.tag, NEW.grupo, NEW.conteudo, NEW.treinamento_finalizado);
  RETURN NEW;
END
$$;

CREATE FUNCTION oraculo_treinamento_changed() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  CASE TG_OP
    WHEN 'INSERT' THEN
      PERFORM public.oraculo_treinamento_enqueue(NEW.id);
    WHEN 'UPDATE' THEN
      PERFORM public.oraculo_treinamento_enqueue(NEW.id);
      IF OLD.id <> NEW.id THEN
        PERFORM public.oraculo_treinamento_enqueue(OLD.id);
      END IF;
    WHEN 'DELETE' THEN
      PERFORM public.oraculo_treinamento_enqueue(OLD.id);
    WHEN 'TRUNCATE' THEN
      -- Before it, while the rows are there.
      PERFORM public.oraculo_treinamento_enqueue(id)
        FROM public.oraculo_treinamento WHERE treinamento_finalizado;
  END CASE;
  RETURN NULL;
END
$$;

CREATE TRIGGER oraculo_treinamento_flag BEFORE INSERT OR UPDATE ON oraculo_treinamento
  FOR EACH ROW EXECUTE FUNCTION oraculo_treinamento_flag();

CREATE TRIGGER oraculo_treinamento_inserted AFTER INSERT ON oraculo_treinamento
  FOR EACH ROW WHEN (NEW.treinamento_finalizado)
  EXECUTE FUNCTION oraculo_treinamento_changed();

-- Dates and the flag itself are not among what matters, and neither is a draft.
CREATE TRIGGER oraculo_treinamento_updated AFTER UPDATE ON oraculo_treinamento
  FOR EACH ROW WHEN (
    (OLD.treinamento_finalizado OR NEW.treinamento_finalizado)
    AND (OLD.id, OLD.tag, OLD.grupo, OLD.conteudo, OLD.treinamento_finalizado)
      IS DISTINCT FROM (NEW.id, NEW.tag, NEW.grupo, NEW.conteudo, NEW.treinamento_finalizado))
  EXECUTE FUNCTION oraculo_treinamento_changed();

CREATE TRIGGER oraculo_treinamento_deleted AFTER DELETE ON oraculo_treinamento
  FOR EACH ROW WHEN (OLD.treinamento_finalizado)
  EXECUTE FUNCTION oraculo_treinamento_changed();

CREATE TRIGGER oraculo_treinamento_truncated BEFORE TRUNCATE ON oraculo_treinamento
  FOR EACH STATEMENT EXECUTE FUNCTION oraculo_treinamento_changed();
