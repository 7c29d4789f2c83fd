"""The words the city plan has for sectors, topics and sources of money: what new tags are chosen from.

What is kept is the plain word: an entry outlives the edition of the plan that its tags were chosen from.
"""

from enum import StrEnum

from registry.tags import UNREPORTED


class PlanSector(StrEnum):
    """What part of the city's life the work serves: one word for each actor that section IV of the plan names."""

    AGRICULTURE = "agriculture"
    BANKING = "banking"
    CONSTRUCTION_URBAN = "construction_urban"
    CULTURE = "culture"
    DEFENCE_EMERGENCY = "defence_emergency"
    EDUCATION = "education"
    ENVIRONMENT = "environment"
    FINANCE = "finance"
    HEALTH = "health"
    ICT_DATA = "ict_data"
    INDUSTRY_COMMERCE = "industry_commerce"
    INVESTMENT = "investment"
    JUSTICE = "justice"
    LABOUR_VOCATIONAL = "labour_vocational"
    LOCAL_ADMINISTRATION = "local_administration"
    PUBLIC_SECURITY = "public_security"
    SCIENCE_TECHNOLOGY = "science_technology"
    TOURISM = "tourism"
    TRANSPORT_LOGISTICS_PORTS = "transport_logistics_ports"
    UNREPORTED = UNREPORTED


class PlanTopic(StrEnum):
    """Which of the methods that section IV.1 of the plan names the work is about."""

    AUTOMATION = "automation"
    CV = "cv"
    DATA_AI = "data_ai"
    NLP = "nlp"
    ROBOTICS = "robotics"
    UNREPORTED = UNREPORTED


class PlanFunding(StrEnum):
    """Which of the sources of money in section V of the plan an award comes from."""

    ENTERPRISE = "enterprise"
    INTERNATIONAL_GRANT = "international_grant"
    OTHER_LAWFUL = "other_lawful"
    STATE_BUDGET = "state_budget"
    UNREPORTED = UNREPORTED
