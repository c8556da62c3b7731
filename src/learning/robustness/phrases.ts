/**
 * Requests of our own in six languages, the same meaning in each: what a router should decide alike.
 * They stand in where no query text is at hand, as when a router learnt from the event log.
 */
export const languages = ["en", "de", "fr", "es", "it", "pt"] as const;

export const phrases: readonly (readonly string[])[] = [
  [
    "Write a Python function that removes duplicates from a list and keeps the order.",
    "Schreibe eine Python-Funktion, die Duplikate aus einer Liste entfernt und die Reihenfolge behält.",
    "Écris une fonction Python qui supprime les doublons d'une liste en gardant l'ordre.",
    "Escribe una función en Python que elimine los duplicados de una lista y conserve el orden.",
    "Scrivi una funzione Python che rimuove i duplicati da una lista mantenendo l'ordine.",
    "Escreva uma função em Python que remove duplicados de uma lista e mantém a ordem.",
  ],
  [
    "What is 17 percent of 2,450? Show the steps.",
    "Wie viel sind 17 Prozent von 2.450? Zeige die Schritte.",
    "Combien font 17 pour cent de 2 450 ? Montre les étapes.",
    "¿Cuánto es el 17 por ciento de 2.450? Muestra los pasos.",
    "Quanto fa il 17 per cento di 2.450? Mostra i passaggi.",
    "Quanto é 17 por cento de 2.450? Mostre os passos.",
  ],
  [
    "Summarise this meeting in three sentences for someone who was not there.",
    "Fasse diese Besprechung in drei Sätzen für jemanden zusammen, der nicht dabei war.",
    "Résume cette réunion en trois phrases pour quelqu'un qui n'y était pas.",
    "Resume esta reunión en tres frases para alguien que no estuvo.",
    "Riassumi questa riunione in tre frasi per chi non c'era.",
    "Resuma esta reunião em três frases para quem não esteve presente.",
  ],
  [
    "Which planet has the most moons, and why do scientists keep finding more?",
    "Welcher Planet hat die meisten Monde, und warum finden Forscher immer neue?",
    "Quelle planète a le plus de lunes, et pourquoi en découvre-t-on toujours ?",
    "¿Qué planeta tiene más lunas y por qué se siguen descubriendo otras?",
    "Quale pianeta ha più lune, e perché se ne scoprono sempre di nuove?",
    "Que planeta tem mais luas e por que continuam a descobrir outras?",
  ],
  [
    "Write a short poem about the first snow of the year.",
    "Schreibe ein kurzes Gedicht über den ersten Schnee des Jahres.",
    "Écris un court poème sur la première neige de l'année.",
    "Escribe un poema corto sobre la primera nieve del año.",
    "Scrivi una breve poesia sulla prima neve dell'anno.",
    "Escreva um poema curto sobre a primeira neve do ano.",
  ],
  [
    "Explain how a vaccine works to a ten-year-old.",
    "Erkläre einem zehnjährigen Kind, wie eine Impfung wirkt.",
    "Explique à un enfant de dix ans comment fonctionne un vaccin.",
    "Explica a un niño de diez años cómo funciona una vacuna.",
    "Spiega a un bambino di dieci anni come funziona un vaccino.",
    "Explique a uma criança de dez anos como funciona uma vacina.",
  ],
  [
    "Find the bug: the loop never ends when the input is empty.",
    "Finde den Fehler: Die Schleife endet nie, wenn die Eingabe leer ist.",
    "Trouve l'erreur : la boucle ne se termine jamais quand l'entrée est vide.",
    "Encuentra el error: el bucle no termina cuando la entrada está vacía.",
    "Trova l'errore: il ciclo non finisce mai quando l'input è vuoto.",
    "Encontre o erro: o ciclo nunca termina quando a entrada está vazia.",
  ],
  [
    "Draft a polite email that declines an invitation to a conference.",
    "Entwirf eine höfliche E-Mail, die eine Einladung zu einer Konferenz ablehnt.",
    "Rédige un courriel poli qui décline une invitation à une conférence.",
    "Redacta un correo amable que rechace una invitación a una conferencia.",
    "Scrivi un'email cortese che declina l'invito a una conferenza.",
    "Redija um e-mail educado que recusa um convite para uma conferência.",
  ],
  [
    "A train leaves at 9:40 and travels 210 km at 84 km/h. When does it arrive?",
    "Ein Zug fährt um 9:40 Uhr ab und legt 210 km mit 84 km/h zurück. Wann kommt er an?",
    "Un train part à 9 h 40 et parcourt 210 km à 84 km/h. Quand arrive-t-il ?",
    "Un tren sale a las 9:40 y recorre 210 km a 84 km/h. ¿Cuándo llega?",
    "Un treno parte alle 9:40 e percorre 210 km a 84 km/h. Quando arriva?",
    "Um comboio parte às 9:40 e percorre 210 km a 84 km/h. Quando chega?",
  ],
  [
    "Compare the advantages of renting and of buying a flat.",
    "Vergleiche die Vorteile von Mieten und Kaufen einer Wohnung.",
    "Compare les avantages de la location et de l'achat d'un appartement.",
    "Compara las ventajas de alquilar y de comprar un piso.",
    "Confronta i vantaggi di affittare e di comprare un appartamento.",
    "Compare as vantagens de alugar e de comprar um apartamento.",
  ],
  [
    "Turn this table into JSON with one object per row.",
    "Wandle diese Tabelle in JSON um, ein Objekt je Zeile.",
    "Convertis ce tableau en JSON, un objet par ligne.",
    "Convierte esta tabla en JSON, un objeto por fila.",
    "Trasforma questa tabella in JSON, un oggetto per riga.",
    "Converta esta tabela em JSON, um objeto por linha.",
  ],
  [
    "What are the legal risks of this contract for the buyer?",
    "Welche rechtlichen Risiken hat dieser Vertrag für den Käufer?",
    "Quels sont les risques juridiques de ce contrat pour l'acheteur ?",
    "¿Qué riesgos legales tiene este contrato para el comprador?",
    "Quali sono i rischi legali di questo contratto per l'acquirente?",
    "Quais são os riscos legais deste contrato para o comprador?",
  ],
];

/** "Please answer the following" in other languages: put around any query. */
export const wrappings: readonly string[] = [
  "Bitte beantworte Folgendes:",
  "Réponds à la demande suivante :",
  "Responde a lo siguiente, por favor:",
  "Rispondi a quanto segue:",
  "Por favor, responda ao seguinte:",
];
