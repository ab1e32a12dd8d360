//! What `branchline init` says, in the three languages of the technicians.
//!
//! Floor: roof. Texts only: they ask and tell, and never decide.

use clap::ValueEnum;

/// A language that technicians are spoken to in.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Tongue {
    /// English
    #[default]
    En,
    /// Portuguese
    Pt,
    /// Spanish
    Es,
}

impl Tongue {
    /// The system's (`LANG=pt_BR.UTF-8`), English where it is another one.
    pub fn of(lang: Option<&str>) -> Tongue {
        match lang.and_then(|lang| lang.get(..2)) {
            Some("pt") => Tongue::Pt,
            Some("es") => Tongue::Es,
            _ => Tongue::En,
        }
    }
}

/// One question: what is asked, and what is said to an answer that cannot be used.
pub(super) struct Question {
    pub asked: &'static str,
    pub wrong: &'static str,
}

/// Everything that is said in one language.
pub(super) struct Words {
    pub begin: &'static str,
    pub branch: Question,
    pub broker: Question,
    pub number_id: Question,
    pub token: Question,
    pub zone: Question,
    pub technician: Question,
    /// Before the path of the file.
    pub written: &'static str,
    /// Before the path of the token's copy.
    pub brought: &'static str,
    pub checking: &'static str,
    pub not_online: &'static str,
    pub sending: &'static str,
    /// Before the masked number.
    pub sent: &'static str,
    pub not_sent: &'static str,
    pub next: &'static str,
    /// In the file.
    pub file: FileWords,
}

/// The comments of the configuration.
pub(super) struct FileWords {
    pub head: &'static str,
    pub country: &'static str,
    pub broker: &'static str,
    pub number: &'static str,
    pub templates: &'static str,
    pub people: &'static str,
    pub rule: &'static str,
}

impl Words {
    pub fn of(tongue: Tongue) -> &'static Words {
        match tongue {
            Tongue::En => &EN,
            Tongue::Pt => &PT,
            Tongue::Es => &ES,
        }
    }
}

const EN: Words = Words {
    begin: "Six questions; an empty answer takes what stands in brackets.",
    branch: Question {
        asked: "1/6 The branch, a short name",
        wrong: "1 to 32 small letters, digits and dashes, as in sp-042.",
    },
    broker: Question {
        asked: "2/6 The MQTT broker",
        wrong: "An address, as in mqtts://broker.branch:8883, or mqtt://127.0.0.1 without encryption.",
    },
    number_id: Question {
        asked: "3/6 The ID of the sender's number (WhatsApp Manager, API setup; not the number itself)",
        wrong: "Digits only, as in 106540352242922.",
    },
    token: Question {
        asked: "4/6 The file that holds the access token",
        wrong: "There is no such file, or it is empty, or it cannot be read. It holds the token and nothing else.",
    },
    zone: Question { asked: "5/6 The time zone", wrong: "A name, as in America/Sao_Paulo or Europe/Lisbon." },
    technician: Question {
        asked: "6/6 Your own number, with + and the country; you agree to get this box's messages there",
        wrong: "A mobile number with + and the country, as in +5511987654321.",
    },
    written: "Written:",
    brought: "The token was copied beside the configuration, where the service can read it; remove the one that you named. It is now in",
    checking: "Now everything is tried:",
    not_online: "Something above says no. Put it right in the file, then: branchline check --online. Where all is well, start the \
                 service and publish anything to test/hello: that sends you the first message. branchline init --replace begins again.",
    sending: "Your consent is recorded. The first message is on its way (hello_world) ...",
    sent: "WhatsApp has accepted it, for",
    not_sent: "It was not accepted:",
    next: "The box works. Next: branchline run, or systemctl enable --now branchline; then write the rules (README, The first rule).",
    file: FileWords {
        head: "Written by `branchline init`. Every key is explained in config/default.toml; `branchline check` says what is in force.",
        country: "national numbers are read as of this country; taken from the technician's number",
        broker: "with a user, a password or a CA of its own: username, password_file, ca_file",
        number: "the ID of the sender's number, and the file with the access token",
        templates: "the platform's list; fetch the whole one as README says (Connecting a real number)",
        people: "who is on call; the number's owner agreed to it when this file was written",
        rule: "a first rule, for trying: publish anything to test/hello and the technician gets hello_world",
    },
};

const PT: Words = Words {
    begin: "Seis perguntas; uma resposta vazia aceita o que está entre colchetes.",
    branch: Question {
        asked: "1/6 A filial, um nome curto",
        wrong: "De 1 a 32 letras minúsculas, algarismos e hífens, como sp-042.",
    },
    broker: Question {
        asked: "2/6 O broker MQTT",
        wrong: "Um endereço, como mqtts://broker.filial:8883, ou mqtt://127.0.0.1 sem criptografia.",
    },
    number_id: Question {
        asked: "3/6 O ID do número remetente (Gerenciador do WhatsApp, configuração da API; não o próprio número)",
        wrong: "Somente algarismos, como 106540352242922.",
    },
    token: Question {
        asked: "4/6 O arquivo com o token de acesso",
        wrong: "Esse arquivo não existe, está vazio ou não pode ser lido. Ele contém o token e mais nada.",
    },
    zone: Question { asked: "5/6 O fuso horário", wrong: "Um nome, como America/Sao_Paulo ou Europe/Lisbon." },
    technician: Question {
        asked: "6/6 O seu número, com + e o país; você aceita receber nele as mensagens desta caixa",
        wrong: "Um número de celular com + e o país, como +5511987654321.",
    },
    written: "Escrito:",
    brought: "O token foi copiado para junto da configuração, onde o serviço pode lê-lo: apague o arquivo que você indicou. Agora está em",
    checking: "Agora tudo é testado:",
    not_online: "Algo acima diz não. Corrija no arquivo e depois: branchline check --online. Quando tudo estiver bem, inicie o \
                 serviço e publique qualquer coisa em test/hello: isso lhe envia a primeira mensagem. branchline init --replace recomeça.",
    sending: "O seu consentimento está registrado. A primeira mensagem está a caminho (hello_world) ...",
    sent: "O WhatsApp aceitou, para",
    not_sent: "Não foi aceita:",
    next: "A caixa funciona. A seguir: branchline run, ou systemctl enable --now branchline; depois escreva as regras (README, The \
           first rule).",
    file: FileWords {
        head: "Escrito por `branchline init`. Cada chave está explicada em config/default.toml; `branchline check` diz o que vale.",
        country: "números nacionais são lidos como deste país; tirado do número do técnico",
        broker: "com usuário, senha ou CA própria: username, password_file, ca_file",
        number: "o ID do número remetente, e o arquivo com o token de acesso",
        templates: "a lista da plataforma; busque a lista inteira como diz o README (Connecting a real number)",
        people: "quem está de plantão; o dono do número concordou quando este arquivo foi escrito",
        rule: "uma primeira regra, para testar: publique qualquer coisa em test/hello e o técnico recebe hello_world",
    },
};

const ES: Words = Words {
    begin: "Seis preguntas; una respuesta vacía toma lo que está entre corchetes.",
    branch: Question {
        asked: "1/6 La sucursal, un nombre corto",
        wrong: "De 1 a 32 letras minúsculas, cifras y guiones, como mx-007.",
    },
    broker: Question {
        asked: "2/6 El broker MQTT",
        wrong: "Una dirección, como mqtts://broker.sucursal:8883, o mqtt://127.0.0.1 sin cifrado.",
    },
    number_id: Question {
        asked: "3/6 El ID del número remitente (administrador de WhatsApp, configuración de la API; no el número mismo)",
        wrong: "Solo cifras, como 106540352242922.",
    },
    token: Question {
        asked: "4/6 El archivo con el token de acceso",
        wrong: "Ese archivo no existe, está vacío o no se puede leer. Contiene el token y nada más.",
    },
    zone: Question { asked: "5/6 La zona horaria", wrong: "Un nombre, como America/Mexico_City o Europe/Madrid." },
    technician: Question {
        asked: "6/6 Su propio número, con + y el país; usted acepta recibir en él los mensajes de esta caja",
        wrong: "Un número de móvil con + y el país, como +525512345678.",
    },
    written: "Escrito:",
    brought: "El token se copió junto a la configuración, donde el servicio puede leerlo: borre el archivo que usted indicó. Ahora está en",
    checking: "Ahora se prueba todo:",
    not_online: "Algo de lo anterior dice no. Corríjalo en el archivo y después: branchline check --online. Cuando todo esté bien, inicie \
                 el servicio y publique cualquier cosa en test/hello: eso le envía el primer mensaje. branchline init --replace empieza \
                 de nuevo.",
    sending: "Su consentimiento está registrado. El primer mensaje está en camino (hello_world) ...",
    sent: "WhatsApp lo aceptó, para",
    not_sent: "No fue aceptado:",
    next: "La caja funciona. Ahora: branchline run, o systemctl enable --now branchline; después escriba las reglas (README, The \
           first rule).",
    file: FileWords {
        head: "Escrito por `branchline init`. Cada clave se explica en config/default.toml; `branchline check` dice qué rige.",
        country: "los números nacionales se leen como de este país; tomado del número del técnico",
        broker: "con usuario, contraseña o CA propia: username, password_file, ca_file",
        number: "el ID del número remitente, y el archivo con el token de acceso",
        templates: "la lista de la plataforma; traiga la lista entera como dice el README (Connecting a real number)",
        people: "quién está de guardia; el dueño del número lo aceptó cuando se escribió este archivo",
        rule: "una primera regla, para probar: publique cualquier cosa en test/hello y el técnico recibe hello_world",
    },
};
