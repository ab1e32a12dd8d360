//! What `RESULT.txt` says, in the three languages: whoever finds the stick in a box knows what to do next.
//!
//! Floor: roof. Texts only; they never hold a secret, for the check shows none.

/// The configuration is in force. `kept`: the secrets could not be wiped.
pub(super) fn taken(branch: &str, kept: bool) -> String {
    let secrets = if kept {
        [
            "THE SECRETS ARE STILL ON THIS STICK: it cannot be written to. Destroy it, or keep it like a key.",
            "OS SEGREDOS AINDA ESTÃO NESTE PENDRIVE: não é possível gravar nele. Destrua-o ou guarde-o como uma chave.",
            "LOS SECRETOS SIGUEN EN ESTA MEMORIA: no se puede escribir en ella. Destrúyala o guárdela como una llave.",
        ]
    } else {
        [
            "The secrets were moved to the box and wiped from this stick.",
            "Os segredos foram movidos para a caixa e apagados deste pendrive.",
            "Los secretos se movieron a la caja y se borraron de esta memoria.",
        ]
    };
    format!(
        "English: This box is now set up as branch {branch}; everything was tried and works. {} Next: take the stick out; the \
         light says how the box does (README, What runs on the box). From now on it takes only sticks that head office has signed.\n\n\
         Português: Esta caixa está configurada como filial {branch}; tudo foi testado e funciona. {} A seguir: retire o pendrive; \
         a luz diz como a caixa está (README, What runs on the box). A partir de agora ela só aceita pendrives assinados pela matriz.\n\n\
         Español: Esta caja está configurada como sucursal {branch}; todo se probó y funciona. {} Ahora: retire la memoria; la luz \
         dice cómo está la caja (README, What runs on the box). Desde ahora solo acepta memorias firmadas por la central.\n",
        secrets[0], secrets[1], secrets[2]
    )
}

/// Nothing was changed, and why.
pub(super) fn refused(why: &str) -> String {
    format!(
        "REFUSED / RECUSADO / RECHAZADO\n\n{why}\n\n\
         English: Nothing was changed: what was in force before still is, and the secrets are still on this stick. Next: put \
         right what is said above, plug the stick in and start the box again; or call head office and read it out.\n\n\
         Português: Nada foi alterado: continua valendo o que valia antes, e os segredos ainda estão neste pendrive. A seguir: \
         corrija o que está dito acima, conecte o pendrive e reinicie a caixa; ou ligue para a matriz e leia o texto.\n\n\
         Español: No se cambió nada: sigue en vigor lo anterior, y los secretos siguen en esta memoria. Ahora: corrija lo que se \
         dice arriba, conecte la memoria y reinicie la caja; o llame a la central y léalo.\n"
    )
}
