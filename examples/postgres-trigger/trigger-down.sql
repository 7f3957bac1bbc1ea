-- Removes what trigger.sql has created, and the waiting jobs. Nothing keeps the index in step from here on, so every flag
-- becomes false.
DROP TRIGGER zz_training_flag ON public.oraculo_treinamento;
DROP TRIGGER training_written ON public.oraculo_treinamento;
DROP TRIGGER training_changed ON public.oraculo_treinamento;
DROP TRIGGER training_truncated ON public.oraculo_treinamento;
DROP SCHEMA training_trigger CASCADE;
UPDATE public.oraculo_treinamento SET treinamento_vetorizado = false WHERE treinamento_vetorizado;
SELECT count(graphile_worker.remove_job(key)) FROM graphile_worker.jobs
  WHERE task_identifier = 'index_training' AND key IS NOT NULL;
