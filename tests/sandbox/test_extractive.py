"""The choice of the sentences that answer a question."""

import pytest

from proxy.sandbox.extractive import NOTHING, reply

NOTES = (
    "Responde con lo que consta.\n\nTemperatura: 38.7 °C a las 21:00.\nAlergias: penicilina.\nEdad: 45.\n\n"
)


@pytest.mark.parametrize(
    ("messages", "answer"),
    [
        pytest.param([f"{NOTES}¿Cuál es la temperatura?"], "Temperatura: 38.7 °C a las 21:00.", id="a word"),
        pytest.param(
            [f"{NOTES}¿A qué es alérgico?"], "Alergias: penicilina.", id="another ending and accent"
        ),
        pytest.param(
            [f"{NOTES}¿Qué edad?", "¿Y las ALERGIAS?"], "Alergias: penicilina.", id="an older message"
        ),
        pytest.param([f"{NOTES}¿Tiene fiebre?"], NOTHING, id="nothing fits"),
        pytest.param(["Hola, ¿cómo estás?"], NOTHING, id="nothing but a question"),
        pytest.param(["¿Tiene fiebre?", "¿Tiene fiebre?"], NOTHING, id="a question is no source"),
        pytest.param(["Toma enalapril. Tiene tos. ¿Qué toma?"], "Toma enalapril.", id="a single line"),
        pytest.param(
            ["Toma enalapril.\nToma aspirina.\n¿Qué toma?"], "Toma enalapril. Toma aspirina.", id="a tie"
        ),
        pytest.param(
            ["Control de la tos. La tos de ayer. Control de la sangre y tos.\n¿Control de sangre?"],
            "Control de la sangre y tos.",
            id="a rare word counts more",
        ),
        pytest.param(["  \n"], NOTHING, id="blank"),
    ],
)
def test_a_question_is_answered_by_the_sentences_that_share_most_with_it(
    messages: list[str], answer: str
) -> None:
    assert reply(messages) == answer
