"""The words that fill the templates, chosen to be common: GPT-2's vocabulary has a token for each after a space."""

from __future__ import annotations


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


NAMES = _words(
    """
    Aaron Adam Alan Alex Alice Amanda Amy Andrea Andrew Angela Anna Anthony Arthur Ashley Benjamin Brandon Brian
    Bruce Carl Charles Christina Christopher Daniel David Dennis Diana Donald Douglas Edward Elizabeth Emily
    Emma Eric Frank Fred George Gary Gregory Harry Heather Helen Henry Ian Jack Jacob James Jamie Jason Jennifer
    Jeremy Jessica Joe John Jonathan Joseph Joshua Julia Justin Karen Kate Kelly Kevin Larry Laura Lauren Linda
    Lisa Louis Luke Maria Martin Mary Matthew Michael Michelle Nathan Nicholas Nicole Oliver Patrick Paul Peter
    Philip Rachel Rebecca Richard Robert Roger Ryan Samantha Samuel Sarah Scott Simon Stephanie Stephen Steven
    Susan Taylor Thomas Timothy Tyler Victor William
    """
)

PLACES = _words(
    """
    airport apartment arena bakery bank bar barn basement bay beach border bridge building cabin cafe camp
    campus canal castle cathedral cave cemetery chapel church cinema circus city classroom clinic club coast
    college conference corner cottage court dock dorm embassy factory fair farm festival field forest fountain
    gallery garage garden gate gym hall harbor hill hospital hotel house hut island jail kitchen lab lake
    library lobby lodge mall mansion market meadow mill mine mosque motel museum office palace park pier pool
    port prison pub quarry ranch restaurant river road roof school shop shore square stable stadium station
    store street studio temple theater tower town tunnel valley village warehouse zoo
    """
)

OBJECTS = _words(
    """
    apple bag ball banana basket battery bell belt bike blanket board boat bone book bottle bowl box bracelet
    bread brush bucket cake camera candle cap car card carpet cat chain chair chart cheese chicken clock coat
    coin computer cookie cup desk diamond dog doll drink drum egg engine fan fish flag flower fork glass guitar
    gun hammer hat helmet horse jacket jar jewel key knife ladder lamp letter lock magazine map mask medal
    mirror necklace newspaper notebook orange painting paper pen pencil phone photo piano picture pie pillow
    pipe plate poem pot radio ribbon ring rope rug scarf shirt shoe song spoon stamp sword table tent ticket tie
    towel toy tray umbrella vase violin wallet watch whistle
    """
)
