"""The vocabulary of the prompts, fercli's own.

Expressions describe facial actions (after Ekman and Friesen), since a generator renders "pressed lips" better than a
feeling. Only adults are described: no photographs of children are generated. Origins and ages are described neutrally
and occur equally often.
"""

from __future__ import annotations

from dataclasses import dataclass

Words = tuple[str, ...]


@dataclass(frozen=True)
class EmotionVocabulary:
    """The words of one emotion.

    Attributes:
        adjective: Describes a person with this emotion.
        first: Words for the template's [emotion1], which occurs twice.
        second: Words for [emotion2].
        third: Words for [emotion3], after "deeply".
        expressions: What the face does, starting with a noun.
    """

    adjective: str
    first: Words
    second: Words
    third: Words
    expressions: Words


CONTEXTS: Words = (
    "close-up portrait",
    "studio portrait",
    "candid street",
    "documentary",
    "passport-style",
    "press",
    "black and white",
    "office",
    "kitchen",
    "classroom",
    "library",
    "workshop",
    "living room",
    "hallway",
    "coffee shop",
    "market",
    "train station",
    "bus stop",
    "park",
    "garden",
    "seaside",
    "sports hall",
    "concert",
    "rainy day",
    "winter day",
    "late afternoon",
    "night-time street",
    "window-lit",
)

GENDERS: Words = ("woman", "man")

AGES: Words = (
    "in their early twenties",
    "about thirty years old",
    "in their forties",
    "in their fifties",
    "in their sixties",
    "over seventy years old",
)

ORIGINS: dict[str, Words] = {
    "African": ("Nigerian", "Kenyan", "Ethiopian", "Ghanaian", "Senegalese", "South African"),
    "Middle Eastern": ("Turkish", "Iranian", "Lebanese", "Jordanian", "Egyptian"),
    "Central Asian": ("Kazakh", "Uzbek", "Kyrgyz", "Tajik"),
    "South Asian": ("Indian", "Pakistani", "Bangladeshi", "Nepali", "Sri Lankan"),
    "East Asian": ("Chinese", "Japanese", "Korean", "Taiwanese", "Mongolian"),
    "Southeast Asian": ("Vietnamese", "Thai", "Filipino", "Indonesian", "Malaysian"),
    "European": ("Polish", "Italian", "Swedish", "Romanian", "Spanish", "Irish"),
    "Latin American": ("Mexican", "Brazilian", "Colombian", "Chilean", "Argentine"),
    "Indigenous American": ("Canadian", "Bolivian", "Guatemalan", "Peruvian", "Ecuadorian"),
    "Pacific Islander": ("Samoan", "Tongan", "Fijian", "New Zealand"),
}
"""Origins, each with some nationalities."""

EMOTION_WORDS: dict[str, EmotionVocabulary] = {
    "angry": EmotionVocabulary(
        "angry",
        ("furious", "livid", "mad", "fuming", "irate"),
        ("irritated", "indignant", "outraged", "hostile", "exasperated"),
        ("enraged", "resentful", "infuriated", "offended", "provoked"),
        (
            "scowl with the brows lowered and drawn together",
            "hard stare with tightened eyelids and pressed lips",
            "glare with raised upper lids and a set jaw",
            "frown with thinned lips and deep lines between the brows",
            "snarl with bared teeth and lowered brows",
            "shout with a square, open mouth and narrowed eyes",
        ),
    ),
    "disgust": EmotionVocabulary(
        "disgusted",
        ("disgusted", "repelled", "revolted", "queasy", "nauseated"),
        ("displeased", "appalled", "put-off", "disapproving", "squeamish"),
        ("repulsed", "sickened", "averse", "grossed-out", "unsettled"),
        (
            "grimace with a wrinkled nose and a raised upper lip",
            "sneer with the nostrils drawn up and the eyes narrowed",
            "wince with the lip corners pulled down and the nose wrinkled",
            "cringe with the head drawn back and the cheeks raised",
            "gagging face with the tongue pushed forward and lowered brows",
            "scrunched-up face with deep folds beside the nose",
        ),
    ),
    "fear": EmotionVocabulary(
        "afraid",
        ("fearful", "frightened", "scared", "terrified", "panicked"),
        ("anxious", "nervous", "alarmed", "tense", "worried"),
        ("shaken", "horrified", "distressed", "threatened", "intimidated"),
        (
            "stare with wide eyes and brows raised and drawn together",
            "gasp with the lips stretched sideways and the jaw dropped",
            "frozen face with raised upper lids and tense lower lids",
            "trembling mouth with the lip corners pulled back",
            "wide-eyed look with a wrinkled forehead and parted lips",
            "scream with an open mouth and whites showing above the eyes",
        ),
    ),
    "happy": EmotionVocabulary(
        "happy",
        ("happy", "joyful", "cheerful", "delighted", "merry"),
        ("smiling", "playful", "radiant", "light-hearted", "pleased"),
        ("content", "grateful", "satisfied", "amused", "thrilled"),
        (
            "smile with raised cheeks and lines beside the eyes",
            "laugh with an open mouth and narrowed eyes",
            "grin that shows the upper teeth",
            "gentle smile with the lip corners pulled up",
            "beaming smile with lifted cheeks and bright eyes",
            "chuckle with a relaxed jaw and crinkled eyelids",
        ),
    ),
    "sad": EmotionVocabulary(
        "sad",
        ("sad", "unhappy", "tearful", "sorrowful", "gloomy"),
        ("downcast", "dejected", "lonely", "disappointed", "melancholic"),
        ("grieving", "heartbroken", "hurt", "mournful", "discouraged"),
        (
            "frown with the inner brows raised and the lip corners pulled down",
            "lowered gaze with drooping upper lids",
            "crying face with tears and a trembling lower lip",
            "pout with a raised chin and slanted brows",
            "downturned mouth with a furrowed forehead",
            "hollow look with heavy eyelids and slack cheeks",
        ),
    ),
    "surprise": EmotionVocabulary(
        "surprised",
        ("surprised", "astonished", "amazed", "startled", "stunned"),
        ("speechless", "wide-eyed", "taken-aback", "dumbfounded", "caught-off-guard"),
        ("astounded", "bewildered", "shocked", "impressed", "perplexed"),
        (
            "gape with a dropped jaw and high, arched brows",
            "wide-eyed look with raised brows and parted lips",
            "round, open mouth with lines across the forehead",
            "double take with lifted lids and a slack jaw",
            "gasp with the brows pulled up and the teeth apart",
            "open-mouthed stare with the whites showing all around the eyes",
        ),
    ),
    "neutral": EmotionVocabulary(
        "neutral",
        ("neutral", "calm", "composed", "expressionless", "relaxed"),
        ("even-tempered", "steady", "unemotional", "quiet", "matter-of-fact"),
        ("impassive", "collected", "detached", "balanced", "untroubled"),
        (
            "resting face with closed lips and level brows",
            "blank look with relaxed eyelids",
            "straight face with a loose jaw",
            "even gaze with an unmoved mouth",
            "passport-photograph face with a smooth forehead",
            "still face with no muscle tensed",
        ),
    ),
    "contempt": EmotionVocabulary(
        "contemptuous",
        ("contemptuous", "scornful", "disdainful", "dismissive", "haughty"),
        ("condescending", "superior", "smug", "arrogant", "unimpressed"),
        ("mocking", "belittling", "derisive", "snide", "patronising"),
        (
            "smirk with one lip corner tightened and raised",
            "lopsided half-smile with a dimple in one cheek",
            "raised chin with a look down the nose and one pressed lip corner",
            "one-sided lip curl under a cool gaze",
            "sidelong glance with one brow and one lip corner up",
            "tight-lipped smile that reaches one side alone",
        ),
    ),
}
"""The words of each emotion."""

NEGATIVE = (
    "drawing, painting, cartoon, anime, 3d render, sculpture, mask, several people, crowd, back of the head, hidden "
    "face, hands over the face, sunglasses, cropped face, far away, full body, nude, revealing clothes, deformed, "
    "disfigured, extra eyes, crossed eyes, bad teeth, bad anatomy, blurred, overexposed, noise, text, watermark, logo, "
    "frame, collage"
)
"""The default negative prompt."""
