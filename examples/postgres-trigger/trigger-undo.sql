DROP TRIGGER oraculo_treinamento_flag ON oraculo_treinamento;
DROP TRIGGER oraculo_treinamento_inserted ON oraculo_treinamento;
DROP TRIGGER oraculo_treinamento_updated ON oraculo_treinamento;
DROP TRIGGER oraculo_treinamento_deleted ON oraculo_treinamento;
DROP TRIGGER oraculo_treinamento_truncated ON oraculo_treinamento;
DROP FUNCTION oraculo_treinamento_changed();
DROP FUNCTION oraculo_treinamento_flag();
DROP FUNCTION oraculo_treinamento_enqueue(integer);
