//! Stop and start words: whether what a person wrote asks for no more messages, or for messages again.
//!
//! Floor: rooms. Decides by the whole message only: "Parar, por favor!" asks, "Can you stop by at 5?" does not. Never
//! decides what becomes of the wish.
//!
//! A message is compared without accents, case, punctuation, repeated words and the words of courtesy around it. "Cancel"
//! and "cancelar" are left out on purpose: in a shop they cancel an order, and whoever means the messages says so. So is "não
//! quero mais" alone, which answers "mais alguma coisa?".
//!
//! A button that was pressed may stop, for that is what templates have such a button for; it never starts: its words are ours.

use super::Settings;
use crate::message::By;
use icu_normalizer::DecomposingNormalizerBorrowed;

/// What a person asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wish {
    /// No more messages.
    Stop,
    /// No more advertising, as said to WhatsApp itself; what was ordered is told as before.
    StopMarketing,
    /// Messages again.
    Start,
}

impl Wish {
    /// As it is published.
    pub fn code(self) -> &'static str {
        match self {
            Wish::Stop => "stop",
            Wish::StopMarketing => "stop-marketing",
            Wish::Start => "start",
        }
    }
}

/// Portuguese, Spanish and English, as [`plain`] leaves them: `|` between words of which one is said, `?` behind what may lack.
const STOP: &[&str] = &[
    // Portuguese
    "parar|pare|para|parem",
    "quero|desejo parar",
    "parar|pare|parem as|essas|estas? mensagem|mensagens",
    "quero|desejo|gostaria? de? parar|pare|parem|para de me? receber|mandar|enviar mais? as|essas|estas|suas? mensagem|mensagens?",
    "para as mensagens",
    "quero? sair",
    "quero? sair da|desta|dessa sua? lista",
    "tira|tire da lista",
    "me tira|tire|tirem|remova|remove|removam|retire|exclua da|desta|dessa sua? lista",
    "tire|remova|retire|exclua me da|desta|dessa sua? lista",
    "quero? me? descadastrar",
    "descadastrar|descadastre me?",
    "me descadastra|descadastre|descadastrem",
    "cancelar|cancele|cancelem a? inscricao",
    "cancelar|cancele|cancelem as? mensagem|mensagens",
    "nao quero|desejo mais? receber? mais? suas|essas|estas? mensagem|mensagens",
    "nao quero|desejo mais? receber",
    "nao quero|desejo receber mais",
    "nao me? mande|mandem|manda|mandar|envie|enviem|envia|enviar mais? mensagem|mensagens",
    "nao me? mande|mandem|manda|mandar|envie|enviem|envia|enviar mais",
    "nao me escreva|escrevam mais?",
    "chega de mensagem|mensagens",
    // Spanish
    "alto",
    "paren",
    "basta",
    "detener|detengan|detengase|detenganse|detente",
    "detener|detenga|detengan|parar|pare|paren los|sus|estos? mensaje|mensajes",
    "baja",
    "dar|darme|dame|deme|denme de baja",
    "quiero darme de baja",
    "quiero la baja",
    "quiero? salir",
    "quiero? salir de la|esta|su lista",
    "quitame|quiteme|quitenme|sacame|saqueme|saquenme|borrame|borrenme|eliminame|eliminenme de la|esta|su lista",
    "cancelar|cancele|cancelen la? suscripcion",
    "cancelar|cancelen los? mensaje|mensajes",
    "desuscribir|desuscribirme|desuscribeme|desuscribanme",
    "no mas mensaje|mensajes",
    "basta de mensajes",
    "no quiero|deseo mas? recibir? mas? sus|estos|esos? mensaje|mensajes",
    "no quiero|deseo mas? recibir",
    "no quiero|deseo recibir mas",
    "no me escriba|escriban|escribas mas?",
    "no me? mande|manden|mandes|mandar|envie|envien|envies|enviar mas? mensaje|mensajes",
    "no me? mande|manden|mandes|mandar|envie|envien|envies|enviar mas",
    "deja|deje|dejen|dejar de escribirme",
    "quiero|deseo? deja|deje|dejen|dejar de recibir|mandar|mandarme|enviar|enviarme mas? los|sus|estos? mensaje|mensajes",
    "quiero|deseo? dejar de recibir",
    // English
    "stop",
    "stopall",
    "stop all|it|this",
    "stop all? the|these|your? message|messages",
    "stop messaging|texting|writing|contacting me?",
    "stop sending me? the|these|any|more? message|messages|texts",
    "i? want|wish? id? like? to? unsubscribe me|all?",
    "opt me? out",
    "optout",
    "quit",
    "end",
    "remove me",
    "remove|take me from|off the|this|your list",
    "no more message|messages|texts",
    "dont message|text|write|contact me anymore|again?",
    "do not message|text|write|contact me anymore|again?",
    "dont send me? any? more? message|messages|texts",
    "do not send me? any? more? message|messages|texts",
    "i dont want any? more? message|messages",
    "i want|wish to stop",
    "stop receiving|getting the|these|your|any? more? message|messages|texts",
    "i want|wish to stop receiving|getting the|these|your|any? more? message|messages|texts",
    "cancel the? subscription",
    "cancel the? message|messages",
];

/// Who says one of these together with "now" speaks of a delivery.
const NOTHING: &[&str] = &[
    "nao me mande|mandem|manda|mandar|envie|enviem|envia|enviar mais? nada",
    "nao quero|desejo mais? receber mais? nada",
    "no me mande|manden|mandes|mandar|envie|envien|envies|enviar mas? nada",
    "no quiero|deseo mas? recibir mas? nada",
    "dont send me anything again|anymore?",
    "do not send me anything again|anymore?",
];

/// The button that the platform proposes for marketing templates, in its languages, and the same in other words.
const STOP_MARKETING: &[&str] = &[
    "parar as? promocoes",
    "parar de receber promocoes",
    "nao quero mais? receber? mais? promocao|promocoes",
    "nao me? mande|mandem|envie|enviem mais? promocao|promocoes",
    "sem promocoes", //
    "detener|parar las? promociones",
    "dejar de recibir promociones",
    "no quiero mas? recibir? mas? promocion|promociones",
    "no me? mande|manden|mandes|envie|envien|envies mas? promocion|promociones",
    "no mas promociones",
    "sin promociones", //
    "stop the? promotions|promos",
    "stop marketing messages?",
    "no more? promotions|promos",
];

/// "Voltar" and "volver" are not among them, which lead back in a menu, nor "quero receber" and "quiero recibir", which answer
/// whether an order is fetched or brought: messages are given back only to who asks for messages.
const START: &[&str] = &[
    "retomar",
    "quero? voltar a receber mensagens?",
    "quero receber mensagens",
    "quero receber de novo",
    "quero receber novamente",
    "inscrever",
    "comecar", //
    "alta",
    "reanudar",
    "quiero recibir mensajes",
    "quiero? volver a recibir mensajes?",
    "empezar",
    "suscribir",
    "suscribirme", //
    "start",
    "unstop",
    "subscribe",
    "resume",
    "opt in",
    "optin",
    "start again",
    "start messages",
];

/// What people put around a wish.
const COURTESY: &[&str] = &[
    "por", "favor", "porfavor", "porfa", "pfv", "pf", "pls", "plz", "please", "obrigado", "obrigada", "obg", "gracias",
    "thanks", "thank", "you", "thx", "oi", "ola", "hola", "hi", "hello", "hey", "bom", "boa", "dia", "tarde", "noite",
    "buen", "buenos", "buenas", "dias", "tardes", "noches", "good", "morning", "ja", "ya", "agora", "ahora", "now",
    "ok", "sim", "si", "yes",
];

/// Behind "para", and beside [`NOTHING`], these say when something is wanted.
const NOW: [&str; 5] = ["ja", "ya", "agora", "ahora", "now"];

/// A wish is short: longer texts are conversation, whatever words they hold. Characters; the longest above has fewer than 70.
const LONGEST: usize = 160;

/// What the message asks for, if it asks for anything. `own` are `policy.opt_out.words`: stop words beside the built-in ones.
pub fn wish(text: &str, by: By, own: &[String]) -> Option<Wish> {
    if by == By::Title || text.chars().nth(LONGEST).is_some() {
        return None;
    }
    let whole = plain(text);
    let bare = bare(&whole);
    let own = |said: &str| !said.is_empty() && own.iter().any(|word| plain(word) == said);
    let says = |forms: &[&str]| forms.iter().any(|form| fits(form, &whole) || fits(form, bare));
    if says(STOP) || own(&whole) || own(bare) || (says(NOTHING) && !is_hurried(&whole)) {
        Some(Wish::Stop)
    } else if says(STOP_MARKETING) {
        Some(Wish::StopMarketing)
    } else {
        (by == By::Person && says(START)).then_some(Wish::Start)
    }
}

/// The text that confirms a stop in the first of `languages` (the person's first) that there is one for: in that very form
/// (`es_MX`), else in the language without a country (`es`), else in any of its forms.
pub fn farewell<'s>(settings: &'s Settings, languages: &[String]) -> Option<&'s str> {
    let of = |language: &String| {
        let plain = language.split('_').next().unwrap_or_default();
        let form =
            || settings.farewell.iter().find(|(name, _)| name.split('_').next() == Some(plain)).map(|(_, text)| text);
        settings.farewell.get(language).or_else(|| settings.farewell.get(plain)).or_else(form)
    };
    languages.iter().find_map(of).map(String::as_str)
}

/// Small letters and figures without accents, one blank between words, no word twice in a row.
fn plain(text: &str) -> String {
    // Compatibility forms too: there are keyboards that write 𝗦𝗧𝗢𝗣 or ＳＴＯＰ.
    let decomposed = DecomposingNormalizerBorrowed::new_nfkd().normalize(text);
    let letters: String = decomposed
        .chars()
        .filter(|c| !matches!(c, '\u{300}'..='\u{36f}' | '\'' | '\u{2019}' | '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}'))
        .flat_map(char::to_lowercase)
        .map(|c| if c.is_alphanumeric() { c } else { ' ' })
        .collect();
    let mut words: Vec<&str> = letters.split_whitespace().collect();
    words.dedup();
    words.join(" ")
}

/// Whether a text says what a form of the tables says.
fn fits(form: &str, said: &str) -> bool {
    if form.is_empty() {
        return said.is_empty();
    }
    let (part, rest) = form.split_once(' ').unwrap_or((form, ""));
    let (word, after) = said.split_once(' ').unwrap_or((said, ""));
    match part.strip_suffix('?') {
        Some(part) => fits(rest, said) || (part.split('|').any(|one| one == word) && fits(rest, after)),
        None => part.split('|').any(|one| one == word) && fits(rest, after),
    }
}

/// Without the courtesy before and behind it, and said once where it stands between the same said again: between other words it
/// belongs to what they say.
fn bare(plain: &str) -> &str {
    let courtesy = |word: &str| COURTESY.contains(&word);
    let words: Vec<&str> = plain.split(' ').collect();
    let mut runs = words.split(|word| courtesy(word)).filter(|run| !run.is_empty());
    let Some(first) = runs.next().filter(|first| runs.all(|run| run == *first)) else { return plain };
    // The words of a run stand side by side in the text.
    let from = words.iter().take_while(|word| courtesy(word)).map(|word| word.len() + 1).sum::<usize>();
    let bare = &plain[from..from + first.join(" ").len()];
    // "Para agora, por favor": for now, and no order to stop.
    if bare == "para" && is_hurried(&plain[from..]) { plain } else { bare }
}

fn is_hurried(plain: &str) -> bool {
    plain.split(' ').any(|word| NOW.contains(&word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_asks_and_what_only_holds_the_word() {
        let stop = [
            "PARAR",
            "Parar, por favor!",
            "parar parar PARAR",
            "Pare!!!",
            "nao quero mais receber mensagens.",
            "Não quero mais mensagens",
            "Sair",
            "  sair da lista  ",
            "Descadastrar, obrigada 🙏",
            "Oi, bom dia. Parar por favor",
            "Baja",
            "¡BASTA!",
            "Por favor, darme de baja. Gracias",
            "No quiero más mensajes",
            "ALTO",
            "Stop",
            "STOP.",
            "“stop”",
            "stop, please",
            "Please stop now",
            "Unsubscribe",
            "opt-out",
            "Opt out please, thank you",
            "don't message me",
            "don’t text me",
            "ＳＴＯＰ",
            "𝗦𝗧𝗢𝗣",
            "ParAr\n",
            "s\u{301}top",
            "Detener",
            "Detener mensajes",
            "¡Deténganse!",
            "Detengan los mensajes, por favor",
            "Não quero receber mensagem",
            "Não quero mais mensagem",
            "Não desejo receber suas mensagens",
            "Não me mande mensagem",
            "Não me mande mensagens!",
            "Não mande mensagem",
            "nao mandem mais mensagens",
            "Não envie mensagem",
            "Me remova da lista",
            "Remova-me da sua lista, por favor",
            "me tirem dessa lista",
            "Parem as mensagens",
            "Pare de me enviar",
            "Chega de mensagens",
            "No me mande mensajes",
            "no manden mensajes",
            "No deseo recibir mensajes",
            "Sáquenme de la lista",
            "Dejen de enviarme mensajes",
            "Stop sending these messages",
            "Don't send me any more messages",
            "do not contact me again",
            "I don’t want any more messages",
            "Stop your messages",
            "Stop, please, stop",
            "Stop! Please stop! Thank you",
            "Parar, por favor, parar",
            "Não quero mensagens, obrigado, não quero mensagens",
            "Quero parar de receber mensagens",
            "Gostaria de parar de receber essas mensagens, por favor",
            "Não me mandem mais nada",
            "Não quero receber mais nada!",
            "Cancelar a inscrição",
            "Quiero dejar de recibir mensajes",
            "Quiero dejar de recibir sus mensajes, gracias",
            "No me manden más nada",
            "no quiero recibir nada",
            "Cancelar la suscripción",
            "I want to unsubscribe",
            "I'd like to unsubscribe, please",
            "I want to stop receiving these messages",
            "Don't send me anything",
            "Cancel the subscription",
        ];
        for text in stop {
            assert_eq!(wish(text, By::Person, &[]), Some(Wish::Stop), "{text:?}");
            assert_eq!(wish(text, By::Button, &[]), Some(Wish::Stop), "a template's way out: {text:?}");
            assert_eq!(wish(text, By::Title, &[]), None, "nobody wrote it: {text:?}");
        }
        let start = [
            "START",
            "Quero voltar a receber",
            "voltar a receber mensagens, por favor",
            "quero receber mensagens",
            "Alta",
            "¡Empezar!",
            "Quiero volver a recibir mensajes",
            "Começar",
            "unstop",
        ];
        for text in start {
            assert_eq!(wish(text, By::Person, &[]), Some(Wish::Start), "{text:?}");
            assert_eq!(wish(text, By::Button, &[]), None, "these are our own words: {text:?}");
        }
        let marketing = [
            "Parar promoções",
            "parar promocoes, por favor",
            "Detener promociones",
            "Stop promotions",
            "Não quero mais promoções!",
            "No quiero más promociones. Gracias",
        ];
        for text in marketing {
            for by in [By::Person, By::Button] {
                assert_eq!(wish(text, by, &[]), Some(Wish::StopMarketing), "{text:?}");
            }
            assert_eq!(wish(text, By::Title, &[]), None, "{text:?}");
        }
        let nothing = [
            "",
            "  ",
            "👍",
            "!!!",
            "Can you stop by at 5?",
            "cancelar",
            "Cancelar, por favor",
            "cancel",
            "não",
            "no",
            "obrigado",
            "Não quero mais o azul, quero o verde",
            "quero parar o pedido 42",
            "Vou parar aí às 5",
            "A loja para às 18h?",
            "the bus stop",
            "salir a las 5",
            "dar de baja la línea 2",
            "stop the delivery until Monday",
            "end of the month?",
            "nao quero",
            "Pode parar o carro na porta?",
            "No, gracias. Stop",
            "Para agora, por favor",
            "Para já",
            "para ahora",
            "pode mandar",
            "Iniciar",
            "Comenzar",
            "Não quero mais",
            "Não quero mais, obrigada",
            "No quiero más, gracias",
            "no more, thanks",
            "Quero, por favor, parar",
            "stop thanks it",
            "nao, obrigado, quero mais mensagens",
            "quero promoções",
            "promoções?",
            "por favor",
            "Voltar",
            "Quero voltar",
            "Volver",
            "quero receber",
            "Quero receber, por favor",
            "Quiero recibir",
            "Para mensagens",
            "Para as 18h",
            "Para já, por favor, para já",
            "Stop, please, wait",
            "Não me mande",
            "Não mande o azul",
            "remova da lista",
            "Não quero receber em casa",
            "No quiero recibir en casa",
            "detener el pedido",
            "remove the onions",
            "I don't want",
            "Não me manda nada agora, por favor",
            "No me envíen nada ya",
            "Don't send me anything now",
            "No me mande nada más, gracias",
            "Cancel my subscription",
            "Quiero cancelar mi suscripción",
            "I stop getting messages",
            "do not send",
        ];
        for text in nothing {
            assert_eq!(wish(text, By::Person, &[]), None, "{text:?}");
        }
        assert_eq!(wish(&format!("stop {}", ".".repeat(200)), By::Person, &[]), None, "no conversation is cut short");
    }

    #[test]
    fn own_words_stop_as_the_built_in_ones_do() {
        let own = ["Não me perturbe".to_owned(), "xô".to_owned()];
        for text in ["nao me perturbe", "Não me perturbe, por favor!", "XÔ", "xo"] {
            assert_eq!(wish(text, By::Person, &own), Some(Wish::Stop), "{text:?}");
        }
        assert_eq!(wish("não me perturbe hoje", By::Person, &own), None);
        assert_eq!(wish("nada", By::Person, &["...".to_owned()]), None);
        assert_eq!(wish("Obrigada!", By::Person, &["...".to_owned()]), None, "courtesy is no word of signs");
        assert_eq!(wish("!!!", By::Person, &["...".to_owned()]), None, "a word of signs alone stops nobody");
    }

    /// All that a form says.
    fn said(form: &str) -> Vec<String> {
        let mut said = vec![String::new()];
        for part in form.split(' ') {
            let (words, lacks) = part.strip_suffix('?').map_or((part, false), |words| (words, true));
            let longer = said.iter().flat_map(|said| words.split('|').map(move |word| format!("{said} {word}")));
            let longer: Vec<String> = longer.map(|said| said.trim().to_owned()).collect();
            said = if lacks { [said, longer].concat() } else { longer };
        }
        said
    }

    #[test]
    fn the_tables_are_written_as_they_are_compared() {
        for (place, words) in [STOP, STOP_MARKETING, START, NOTHING].into_iter().enumerate() {
            for word in words.iter().flat_map(|form| form.split([' ', '|', '?'])) {
                assert_eq!(plain(word), word);
            }
            // Nobody says a word twice in a row.
            for text in words.iter().flat_map(|form| said(form)).map(|text| plain(&text)) {
                assert_eq!(bare(&text), text, "courtesy is around a wish, not in it");
                assert!(text.len() < 70);
                let meant =
                    [STOP, STOP_MARKETING, START, NOTHING].map(|words| words.iter().any(|form| fits(form, &text)));
                assert_eq!(meant.iter().position(|meant| *meant), Some(place), "{text}");
                assert_eq!(meant.iter().filter(|meant| **meant).count(), 1, "{text} means one thing");
            }
        }
    }
}
