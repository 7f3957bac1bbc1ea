/** A training of a fictitious shop: a text of its bot's knowledge base. */
export interface SampleTraining {
  id: string;
  metadata: { tag: string; grupo: string };
  content: string;
}

export const trainings: SampleTraining[] = [
  {
    id: "entregas",
    metadata: { tag: "entregas", grupo: "logistica" },
    content: `A Floricultura Girassol entrega flores, vasos e ferramentas de jardinagem em todo o município de Campo Novo e nos bairros vizinhos. Pedidos pagos até as 11 horas da manhã, de segunda a sábado, saem no mesmo dia e chegam entre as 14 e as 19 horas. Pedidos pagos depois desse horário são entregues no dia útil seguinte. Aos domingos e feriados não há entregas, com exceção do Dia das Mães e do Dia dos Namorados, quando trabalhamos em horário especial, anunciado no site com duas semanas de antecedência. O entregador telefona dez minutos antes de chegar; se ninguém atender, ele espera cinco minutos em frente ao endereço e segue para a próxima entrega.

O frete custa R$ 12,00 para endereços até cinco quilômetros da loja e R$ 18,00 para os demais bairros atendidos. Em compras acima de R$ 150,00 o frete é grátis. Plantas com mais de um metro de altura, sacos de terra acima de vinte quilos e conjuntos de vasos de cerâmica vão em um veículo maior e pagam uma taxa adicional de R$ 25,00, mesmo quando o frete é grátis. O valor exato aparece no carrinho antes do pagamento, e não muda depois que o pedido é confirmado. Quem preferir pode retirar a compra na loja sem pagar nada: basta escolher a opção "retirar no balcão", e o pedido fica separado por três dias, em ambiente refrigerado quando se trata de flores.

Se o destinatário não estiver em casa, tentamos entregar mais uma vez no mesmo dia, sem custo. Na terceira tentativa cobramos um novo frete. Flores que voltam para a loja são mantidas na câmara fria por até 24 horas; depois desse prazo não podemos garantir que estejam frescas, e o cliente escolhe entre um novo arranjo com metade do preço ou um vale-compra. Para condomínios, pedimos o nome de quem pode receber na portaria, pois muitos porteiros não aceitam flores sem autorização. Para hospitais, confirme antes se a ala permite plantas: nas unidades de terapia intensiva elas são proibidas, e nesse caso sugerimos uma cesta de frutas.

Cada pedido recebe um código de rastreamento por mensagem, no momento em que sai da loja. Com o código, o cliente acompanha o trajeto no mapa e vê o nome do entregador. Se o código não chegar até uma hora depois da confirmação do pagamento, é só responder à mensagem com o número do pedido, que começa sempre com as letras FG. Mudanças de endereço são possíveis enquanto o pedido não tiver saído; depois disso, só é possível cancelar, e o valor do frete não é devolvido. Endereços incompletos são a causa mais comum de atraso: informe sempre o número, o bloco e o apartamento.`,
  },
  {
    id: "trocas",
    metadata: { tag: "trocas", grupo: "atendimento" },
    content: `Ferramentas e vasos podem ser trocados em até trinta dias, com a nota fiscal e sem sinais de uso. Flores e plantas são produtos vivos: se chegarem murchas ou quebradas, mande uma foto no mesmo dia e enviamos outras, sem custo. Não trocamos plantas que adoeceram por falta de água ou por excesso de sol depois da entrega. O dinheiro de uma devolução volta ao cartão em até duas faturas, ou à conta, no caso de Pix, em dois dias úteis.`,
  },
  {
    id: "pagamentos",
    metadata: { tag: "pagamentos", grupo: "financeiro" },
    content: `Aceitamos Pix, cartão de crédito em até três vezes sem juros, cartão de débito e dinheiro na loja. No Pix há cinco por cento de desconto. Boleto só para empresas com cadastro aprovado, com vencimento em quinze dias. A nota fiscal é enviada por e-mail assim que o pagamento é confirmado. Não aceitamos cheques.`,
  },
  {
    id: "cuidados",
    metadata: { tag: "cuidados", grupo: "jardinagem" },
    content: `Girassóis em vaso precisam de seis horas de sol direto por dia e de água sempre que a terra estiver seca ao toque. Orquídeas preferem luz indireta e uma rega por semana, sem deixar água no prato. Suculentas devem ser regadas a cada quinze dias no verão e uma vez por mês no inverno. Para flores cortadas, troque a água do vaso todos os dias e corte um centímetro do caule, em diagonal.`,
  },
  {
    id: "horarios",
    metadata: { tag: "horarios", grupo: "loja" },
    content: `A loja fica na Rua das Acácias, 210, no centro de Campo Novo, e abre de segunda a sexta das 8 às 18 horas e aos sábados das 8 às 13 horas. O atendimento por mensagem funciona todos os dias até as 20 horas. Há estacionamento para clientes nos fundos, com entrada pela Rua dos Ipês.`,
  },
  {
    id: "clube",
    metadata: { tag: "clube", grupo: "fidelidade" },
    content: `O Clube Girassol custa R$ 79,00 por mês: a cada duas semanas o assinante recebe um arranjo de flores da estação, com frete incluído. A assinatura pode ser pausada ou cancelada a qualquer momento pelo site, sem multa. Assinantes têm dez por cento de desconto em vasos e ferramentas.`,
  },
];
