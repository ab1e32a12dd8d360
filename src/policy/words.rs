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

/// Portuguese, Spanish and English, as [`plain`] leaves them.
const STOP: &[&str] = &[
    // Portuguese
    "parar",
    "pare",
    "para",
    "parem",
    "quero parar",
    "parar mensagem",
    "parar mensagens",
    "parar as mensagens",
    "parar de receber",
    "parar de receber mensagens",
    "parar de mandar mensagem",
    "parar de enviar mensagens",
    "pare de mandar mensagem",
    "pare de mandar mensagens",
    "pare de me mandar mensagem",
    "pare de me mandar mensagens",
    "pare de enviar mensagens",
    "pare de me enviar mensagens",
    "pare as mensagens",
    "parem de mandar mensagens",
    "para de mandar mensagem",
    "para de me mandar mensagem",
    "para de mandar mensagens",
    "para de me mandar mensagens",
    "sair",
    "quero sair",
    "sair da lista",
    "quero sair da lista",
    "me tira da lista",
    "me tire da lista",
    "tira da lista",
    "descadastrar",
    "descadastre",
    "me descadastre",
    "quero me descadastrar",
    "descadastrar me",
    "cancelar inscricao",
    "cancelar mensagens",
    "cancelar as mensagens",
    "nao quero mensagens",
    "nao quero mais mensagens",
    "nao quero mais receber",
    "nao quero receber",
    "nao quero receber mais",
    "nao quero receber mensagens",
    "nao quero mais receber mensagens",
    "nao quero receber mais mensagens",
    "nao mande mais",
    "nao mande mais mensagens",
    "nao me mande mais",
    "nao me mande mais mensagem",
    "nao me mande mais mensagens",
    "nao envie mais",
    "nao envie mais mensagens",
    "nao me envie mais mensagens",
    "nao enviar mais",
    "nao enviar mensagens",
    // Spanish
    "alto",
    "paren",
    "basta",
    "baja",
    "dar de baja",
    "darme de baja",
    "dame de baja",
    "denme de baja",
    "quiero darme de baja",
    "quiero la baja",
    "salir",
    "quiero salir",
    "salir de la lista",
    "parar mensajes",
    "parar los mensajes",
    "cancelar suscripcion",
    "cancelar mensajes",
    "cancelar los mensajes",
    "desuscribir",
    "desuscribirme",
    "no mas mensajes",
    "no quiero mensajes",
    "no quiero mas mensajes",
    "no quiero recibir",
    "no quiero recibir mas",
    "no quiero recibir mensajes",
    "no quiero recibir mas mensajes",
    "no quiero mas sus mensajes",
    "no me escriban",
    "no me escriban mas",
    "no me escriba mas",
    "no me escribas mas",
    "no enviar mas",
    "no envien mas",
    "no envien mas mensajes",
    "no me envien mas mensajes",
    "no me manden mas mensajes",
    "no me mandes mas mensajes",
    "dejar de recibir",
    "dejar de recibir mensajes",
    "dejen de escribirme",
    "deje de escribirme",
    "deja de escribirme",
    "dejen de mandar mensajes",
    "dejen de enviar mensajes",
    // English
    "stop",
    "stopall",
    "stop all",
    "stop it",
    "stop this",
    "stop messages",
    "stop the messages",
    "stop these messages",
    "stop messaging me",
    "stop texting me",
    "stop texting",
    "stop writing me",
    "stop sending messages",
    "stop sending me messages",
    "unsubscribe",
    "unsubscribe me",
    "unsubscribe all",
    "opt out",
    "optout",
    "opt me out",
    "quit",
    "end",
    "remove me",
    "remove me from the list",
    "remove me from your list",
    "take me off the list",
    "take me off your list",
    "no more messages",
    "dont message me",
    "do not message me",
    "dont text me",
    "do not text me",
    "dont write me",
    "i want to stop",
    "cancel subscription",
    "cancel messages",
];

/// The button that the platform proposes for marketing templates, in its languages, and the same in other words.
const STOP_MARKETING: &[&str] = &[
    "parar promocoes",
    "parar as promocoes",
    "parar de receber promocoes",
    "nao quero promocoes",
    "nao quero mais promocoes",
    "nao quero receber promocoes",
    "nao quero mais receber promocoes",
    "sem promocoes", //
    "detener promociones",
    "detener las promociones",
    "parar promociones",
    "dejar de recibir promociones",
    "no quiero promociones",
    "no quiero mas promociones",
    "no quiero recibir promociones",
    "no mas promociones",
    "sin promociones", //
    "stop promotions",
    "stop promos",
    "stop the promotions",
    "stop marketing",
    "stop marketing messages",
    "no promotions",
    "no more promotions",
];

const START: &[&str] = &[
    "voltar",
    "retomar",
    "quero voltar",
    "quero receber",
    "quero receber mensagens",
    "quero voltar a receber",
    "quero receber de novo",
    "quero receber novamente",
    "inscrever",
    "comecar", //
    "alta",
    "volver",
    "reanudar",
    "quiero recibir",
    "quiero recibir mensajes",
    "quiero volver a recibir",
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

/// Behind "para" these say when something is wanted.
const NOW: [&str; 5] = ["ja", "ya", "agora", "ahora", "now"];

/// A wish is short: longer texts are conversation, whatever words they hold. Characters; the longest above has 41.
const LONGEST: usize = 160;

/// What the message asks for, if it asks for anything. `own` are `policy.opt_out.words`: stop words beside the built-in ones.
pub fn wish(text: &str, by: By, own: &[String]) -> Option<Wish> {
    if by == By::Title || text.chars().nth(LONGEST).is_some() {
        return None;
    }
    let whole = plain(text);
    let bare = bare(&whole);
    let own = |said: &str| !said.is_empty() && own.iter().any(|word| plain(word) == said);
    let says = |words: &[&str]| words.contains(&whole.as_str()) || words.contains(&bare);
    if says(STOP) || own(&whole) || own(bare) {
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

/// Without the courtesy before and behind it: between other words it belongs to what they say.
fn bare(plain: &str) -> &str {
    let (mut bare, mut hurried) = (plain, false);
    loop {
        let (first, last) = (bare.split_once(' '), bare.rsplit_once(' '));
        bare = match (first, last) {
            (Some((word, rest)), _) if COURTESY.contains(&word) => rest,
            (_, Some((rest, word))) if COURTESY.contains(&word) => {
                hurried |= NOW.contains(&word);
                rest
            }
            _ => break,
        };
    }
    // "Para agora, por favor": for now, and no order to stop.
    if bare == "para" && hurried { plain } else { bare }
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
        ];
        for text in stop {
            assert_eq!(wish(text, By::Person, &[]), Some(Wish::Stop), "{text:?}");
            assert_eq!(wish(text, By::Button, &[]), Some(Wish::Stop), "a template's way out: {text:?}");
            assert_eq!(wish(text, By::Title, &[]), None, "nobody wrote it: {text:?}");
        }
        let start = ["START", "Voltar", "quero receber, por favor", "Alta", "¡Empezar!", "Começar", "unstop"];
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

    #[test]
    fn the_tables_are_written_as_they_are_compared() {
        let all: Vec<&str> = [STOP, STOP_MARKETING, START].concat();
        for (place, word) in all.iter().enumerate() {
            assert_eq!(plain(word), **word);
            assert!(!all[..place].contains(word), "{word} means one thing");
            assert!(!COURTESY.contains(word));
        }
    }
}
