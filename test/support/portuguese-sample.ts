/** Portuguese prose of several kinds, written for these tests, for machines without the FaQuAD data set. */
export const PORTUGUESE_PARAGRAPHS = [
  "A Universidade foi fundada em 1934, a partir da reunião de faculdades que já existiam na cidade, e hoje mantém onze campi distribuídos pelo interior do estado. O ingresso nos cursos de graduação ocorre por meio de concurso vestibular ou da nota obtida no Exame Nacional do Ensino Médio, e cerca de metade das vagas é reservada a estudantes que concluíram a educação básica em escolas públicas.",
  "O prazo de entrega começa a contar no primeiro dia útil depois da confirmação do pagamento. Para as capitais das regiões Sul e Sudeste, a encomenda costuma chegar em até três dias; para as demais localidades, em até nove. Se o endereço estiver incompleto ou se ninguém puder receber a mercadoria, a transportadora faz outras duas tentativas antes de devolvê-la ao nosso centro de distribuição, em Guarulhos.",
  "Entende-se por arrependimento o direito, previsto no artigo 49 do Código de Defesa do Consumidor, de desistir da contratação no prazo de sete dias, contados do recebimento do produto ou da assinatura do contrato, sempre que a compra tiver ocorrido fora do estabelecimento comercial. Os valores eventualmente pagos, a qualquer título, serão devolvidos de imediato, monetariamente atualizados.",
  "Quando o equipamento não ligar, verifique primeiro se o cabo de alimentação está bem encaixado e se a tomada funciona. Em seguida, mantenha o botão pressionado por dez segundos, espere a luz azul piscar e solte-o. Persistindo o defeito, desligue o disjuntor, aguarde meia hora e repita o procedimento; só depois abra um chamado no suporte, informando o número de série gravado na parte de baixo do aparelho.",
  "Os manguezais do litoral nordestino abrigam caranguejos, garças, guaiamuns e uma infinidade de microrganismos que decompõem a matéria orgânica trazida pelos rios. Desmatados para a criação de camarão ou aterrados pela especulação imobiliária, perderam um quarto da área original nas últimas décadas. Pesquisadores da rede de monitoramento propõem corredores ecológicos e a participação das comunidades ribeirinhas na fiscalização.",
  "— Você não imagina o que me aconteceu ontem — disse Joaquim, puxando a cadeira. — Saí do trabalho às seis, peguei o ônibus errado e fui parar em Pindamonhangaba! Dona Conceição riu tanto que derramou o café. Ele fingiu que se zangava, mas acabou rindo também: afinal, não era a primeira vez que a distração o levava tão longe de casa.",
  "Análise e desenvolvimento de sistemas compreende o levantamento de requisitos, a modelagem de dados, a programação, os testes e a implantação de aplicações. O profissional deve conhecer algoritmos, estruturas de dados, bancos relacionais, redes de computadores, segurança da informação e engenharia de software, além de comunicar-se bem com usuários que nem sempre sabem descrever aquilo de que precisam.",
  "Paciente do sexo feminino, 54 anos, hipertensa e diabética, em uso contínuo de losartana e metformina, comparece ao ambulatório queixando-se de cefaleia occipital, fotofobia e náuseas há cinco dias. Nega febre, vômitos ou traumatismo cranioencefálico. Ao exame, encontra-se lúcida, orientada, eupneica e afebril. Solicitados hemograma, ureia, creatinina e tomografia computadorizada.",
  "Oi, td bem? Queria saber se vcs entregam aos sábados pq durante a semana não tem ninguém em casa rsrs. Tb gostaria de trocar a blusa verde (tamanho M) por uma G, pode ser? Paguei no pix e ainda não recebi a nota fiscal... obrigada!!",
  "Art. 5º Todos são iguais perante a lei, sem distinção de qualquer natureza, garantindo-se aos brasileiros e aos estrangeiros residentes no País a inviolabilidade do direito à vida, à liberdade, à igualdade, à segurança e à propriedade, nos termos seguintes: I - homens e mulheres são iguais em direitos e obrigações; II - ninguém será obrigado a fazer ou deixar de fazer alguma coisa senão em virtude de lei.",
  "Misture a farinha peneirada, o açúcar mascavo e a canela; acrescente os ovos batidos, o óleo e as bananas bem maduras, amassadas com um garfo. Despeje numa fôrma untada e enfarinhada, polvilhe castanhas-do-pará grosseiramente picadas e asse em forno preaquecido a 180 graus por quarenta minutos, ou até que um palito espetado no centro saia limpo.",
  "O BANCO INFORMA: POR DETERMINAÇÃO DO BANCO CENTRAL, AS TRANSFERÊNCIAS NOTURNAS ENTRE PESSOAS FÍSICAS ESTÃO LIMITADAS A MIL REAIS. PARA ALTERAR O SEU LIMITE, ACESSE O APLICATIVO E CONFIRME A SOLICITAÇÃO COM A SENHA DE SEIS DÍGITOS. A MUDANÇA LEVA DE 24 A 48 HORAS.",
];

/** Questions as customers ask them. */
export const PORTUGUESE_QUESTIONS = [
  "Qual é o prazo de entrega para Manaus?",
  "Como faço para trocar um produto com defeito?",
  "Vocês aceitam cartão de débito ou só Pix?",
  "Em que ano a universidade foi fundada?",
  "Quantas tentativas de entrega a transportadora faz antes de devolver a encomenda?",
  "O que acontece se eu me arrepender da compra?",
  "Quem pode solicitar a segunda via da nota fiscal?",
  "Por que o aparelho não liga depois de uma queda de energia?",
  "Onde ficam os manguezais mais ameaçados do litoral nordestino?",
  "Posso parcelar em doze vezes sem juros?",
];
