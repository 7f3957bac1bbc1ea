-- For the rows that were there before the trigger: their flags speak of other vectors, and each finalised one becomes a job. Can be run
-- again at any time; what is indexed already costs two short queries a training.
SELECT set_config('oraculo.vetorizador', 'on', true);
UPDATE oraculo_treinamento SET treinamento_vetorizado = false WHERE treinamento_vetorizado;
SELECT set_config('oraculo.vetorizador', 'off', true);
SELECT count(oraculo_treinamento_enqueue(id)) FROM oraculo_treinamento WHERE treinamento_finalizado;
