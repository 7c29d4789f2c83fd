"""The center's rate cards: all of them are public, a new one is published ahead of time."""

from fastapi import APIRouter

from api.dependencies import PortsDep, policy
from api.problems import accepted
from api.schemas.rates import RateCardsOut, RatesIn, RatesOut
from operations import rates

router = APIRouter(prefix="/v1/rates", tags=["rates"])


@router.get("", openapi_extra=policy("rates:list"))
def list_rates(ports: PortsDep) -> RateCardsOut:
    """List the rate cards by the moment from which each holds."""
    return RateCardsOut.from_cards(ports.store.read(rates.list_rates))


@router.post("", status_code=201, openapi_extra=policy("rates:publish"))
def publish_rates(body: RatesIn, ports: PortsDep) -> RatesOut:
    """Publish a rate card that holds from a moment on; running work keeps the rates it was placed at."""
    outcome = ports.store.transact(rates.publish_rates, body.to_card(), now=ports.clock.now())
    return RatesOut.from_card(accepted(outcome))
