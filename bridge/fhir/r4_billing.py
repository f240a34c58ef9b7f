"""Financial resources of FHIR R4 (4.0.1): what elements they have.

One line for each, wrapped: its name, and its elements as ``name:type``. ``!`` is needed, ``*`` comes often,
``[x]`` is one of several types (its name ends with the type's), and behind ``/`` stands the value set that
its codes must be of. What every resource has beside stands in `check.py`. Facts of hl7.org/fhir/R4; a test
holds them against a second opinion.
"""

from __future__ import annotations

from typing import Final

BILLING: Final = """
Coverage = beneficiary!:Reference class*:Coverage.class contract*:Reference
  costToBeneficiary*:Coverage.costToBeneficiary dependent:string identifier*:Identifier network:string
  order:positiveInt payor!*:Reference period:Period policyHolder:Reference relationship:CodeableConcept
  status!:code/fm-status subrogation:boolean subscriber:Reference subscriberId:string type:CodeableConcept
Coverage.class = name:string type!:CodeableConcept value!:string
Coverage.costToBeneficiary = exception*:Coverage.costToBeneficiary.exception type:CodeableConcept
  value[x]!:Money|Quantity
Coverage.costToBeneficiary.exception = period:Period type!:CodeableConcept
ChargeItem = account*:Reference bodysite*:CodeableConcept code!:CodeableConcept context:Reference
  costCenter:Reference definitionCanonical*:canonical definitionUri*:uri enteredDate:dateTime
  enterer:Reference factorOverride:decimal identifier*:Identifier note*:Annotation
  occurrence[x]:Period|Timing|dateTime overrideReason:string partOf*:Reference
  performer*:ChargeItem.performer performingOrganization:Reference priceOverride:Money
  product[x]:CodeableConcept|Reference quantity:Quantity reason*:CodeableConcept
  requestingOrganization:Reference service*:Reference status!:code/chargeitem-status subject!:Reference
  supportingInformation*:Reference
ChargeItem.performer = actor!:Reference function:CodeableConcept
Claim = accident:Claim.accident billablePeriod:Period careTeam*:Claim.careTeam created!:dateTime
  diagnosis*:Claim.diagnosis enterer:Reference facility:Reference fundsReserve:CodeableConcept
  identifier*:Identifier insurance!*:Claim.insurance insurer:Reference item*:Claim.item
  originalPrescription:Reference patient!:Reference payee:Claim.payee prescription:Reference
  priority!:CodeableConcept procedure*:Claim.procedure provider!:Reference referral:Reference
  related*:Claim.related status!:code/fm-status subType:CodeableConcept supportingInfo*:Claim.supportingInfo
  total:Money type!:CodeableConcept use!:code/claim-use
Claim.accident = date!:date location[x]:Address|Reference type:CodeableConcept
Claim.careTeam = provider!:Reference qualification:CodeableConcept responsible:boolean role:CodeableConcept
  sequence!:positiveInt
Claim.diagnosis = diagnosis[x]!:CodeableConcept|Reference onAdmission:CodeableConcept
  packageCode:CodeableConcept sequence!:positiveInt type*:CodeableConcept
Claim.insurance = businessArrangement:string claimResponse:Reference coverage!:Reference focal!:boolean
  identifier:Identifier preAuthRef*:string sequence!:positiveInt
Claim.item = bodySite:CodeableConcept careTeamSequence*:positiveInt category:CodeableConcept
  detail*:Claim.item.detail diagnosisSequence*:positiveInt encounter*:Reference factor:decimal
  informationSequence*:positiveInt location[x]:Address|CodeableConcept|Reference modifier*:CodeableConcept
  net:Money procedureSequence*:positiveInt productOrService!:CodeableConcept programCode*:CodeableConcept
  quantity:Quantity revenue:CodeableConcept sequence!:positiveInt serviced[x]:Period|date
  subSite*:CodeableConcept udi*:Reference unitPrice:Money
Claim.item.detail = category:CodeableConcept factor:decimal modifier*:CodeableConcept net:Money
  productOrService!:CodeableConcept programCode*:CodeableConcept quantity:Quantity revenue:CodeableConcept
  sequence!:positiveInt subDetail*:Claim.item.detail.subDetail udi*:Reference unitPrice:Money
Claim.item.detail.subDetail = category:CodeableConcept factor:decimal modifier*:CodeableConcept net:Money
  productOrService!:CodeableConcept programCode*:CodeableConcept quantity:Quantity revenue:CodeableConcept
  sequence!:positiveInt udi*:Reference unitPrice:Money
Claim.payee = party:Reference type!:CodeableConcept
Claim.procedure = date:dateTime procedure[x]!:CodeableConcept|Reference sequence!:positiveInt
  type*:CodeableConcept udi*:Reference
Claim.related = claim:Reference reference:Identifier relationship:CodeableConcept
Claim.supportingInfo = category!:CodeableConcept code:CodeableConcept reason:CodeableConcept
  sequence!:positiveInt timing[x]:Period|date value[x]:Attachment|Quantity|Reference|boolean|string
ExplanationOfBenefit = accident:ExplanationOfBenefit.accident addItem*:ExplanationOfBenefit.addItem
  adjudication*:ExplanationOfBenefit.item.adjudication benefitBalance*:ExplanationOfBenefit.benefitBalance
  benefitPeriod:Period billablePeriod:Period careTeam*:ExplanationOfBenefit.careTeam claim:Reference
  claimResponse:Reference created!:dateTime diagnosis*:ExplanationOfBenefit.diagnosis disposition:string
  enterer:Reference facility:Reference form:Attachment formCode:CodeableConcept fundsReserve:CodeableConcept
  fundsReserveRequested:CodeableConcept identifier*:Identifier insurance!*:ExplanationOfBenefit.insurance
  insurer!:Reference item*:ExplanationOfBenefit.item originalPrescription:Reference
  outcome!:code/remittance-outcome patient!:Reference payee:ExplanationOfBenefit.payee
  payment:ExplanationOfBenefit.payment preAuthRef*:string preAuthRefPeriod*:Period precedence:positiveInt
  prescription:Reference priority:CodeableConcept procedure*:ExplanationOfBenefit.procedure
  processNote*:ExplanationOfBenefit.processNote provider!:Reference referral:Reference
  related*:ExplanationOfBenefit.related status!:code/explanationofbenefit-status subType:CodeableConcept
  supportingInfo*:ExplanationOfBenefit.supportingInfo total*:ExplanationOfBenefit.total
  type!:CodeableConcept use!:code/claim-use
ExplanationOfBenefit.accident = date:date location[x]:Address|Reference type:CodeableConcept
ExplanationOfBenefit.addItem = adjudication*:ExplanationOfBenefit.item.adjudication bodySite:CodeableConcept
  detail*:ExplanationOfBenefit.addItem.detail detailSequence*:positiveInt factor:decimal
  itemSequence*:positiveInt location[x]:Address|CodeableConcept|Reference modifier*:CodeableConcept
  net:Money noteNumber*:positiveInt productOrService!:CodeableConcept programCode*:CodeableConcept
  provider*:Reference quantity:Quantity serviced[x]:Period|date subDetailSequence*:positiveInt
  subSite*:CodeableConcept unitPrice:Money
ExplanationOfBenefit.addItem.detail = adjudication*:ExplanationOfBenefit.item.adjudication factor:decimal
  modifier*:CodeableConcept net:Money noteNumber*:positiveInt productOrService!:CodeableConcept
  quantity:Quantity subDetail*:ExplanationOfBenefit.addItem.detail.subDetail unitPrice:Money
ExplanationOfBenefit.addItem.detail.subDetail = adjudication*:ExplanationOfBenefit.item.adjudication
  factor:decimal modifier*:CodeableConcept net:Money noteNumber*:positiveInt
  productOrService!:CodeableConcept quantity:Quantity unitPrice:Money
ExplanationOfBenefit.benefitBalance = category!:CodeableConcept description:string excluded:boolean
  financial*:ExplanationOfBenefit.benefitBalance.financial name:string network:CodeableConcept
  term:CodeableConcept unit:CodeableConcept
ExplanationOfBenefit.benefitBalance.financial = allowed[x]:Money|string|unsignedInt type!:CodeableConcept
  used[x]:Money|unsignedInt
ExplanationOfBenefit.careTeam = provider!:Reference qualification:CodeableConcept responsible:boolean
  role:CodeableConcept sequence!:positiveInt
ExplanationOfBenefit.diagnosis = diagnosis[x]!:CodeableConcept|Reference onAdmission:CodeableConcept
  packageCode:CodeableConcept sequence!:positiveInt type*:CodeableConcept
ExplanationOfBenefit.insurance = coverage!:Reference focal!:boolean preAuthRef*:string
ExplanationOfBenefit.item = adjudication*:ExplanationOfBenefit.item.adjudication bodySite:CodeableConcept
  careTeamSequence*:positiveInt category:CodeableConcept detail*:ExplanationOfBenefit.item.detail
  diagnosisSequence*:positiveInt encounter*:Reference factor:decimal informationSequence*:positiveInt
  location[x]:Address|CodeableConcept|Reference modifier*:CodeableConcept net:Money noteNumber*:positiveInt
  procedureSequence*:positiveInt productOrService!:CodeableConcept programCode*:CodeableConcept
  quantity:Quantity revenue:CodeableConcept sequence!:positiveInt serviced[x]:Period|date
  subSite*:CodeableConcept udi*:Reference unitPrice:Money
ExplanationOfBenefit.item.adjudication = amount:Money category!:CodeableConcept reason:CodeableConcept
  value:decimal
ExplanationOfBenefit.item.detail = adjudication*:ExplanationOfBenefit.item.adjudication
  category:CodeableConcept factor:decimal modifier*:CodeableConcept net:Money noteNumber*:positiveInt
  productOrService!:CodeableConcept programCode*:CodeableConcept quantity:Quantity revenue:CodeableConcept
  sequence!:positiveInt subDetail*:ExplanationOfBenefit.item.detail.subDetail udi*:Reference unitPrice:Money
ExplanationOfBenefit.item.detail.subDetail = adjudication*:ExplanationOfBenefit.item.adjudication
  category:CodeableConcept factor:decimal modifier*:CodeableConcept net:Money noteNumber*:positiveInt
  productOrService!:CodeableConcept programCode*:CodeableConcept quantity:Quantity revenue:CodeableConcept
  sequence!:positiveInt udi*:Reference unitPrice:Money
ExplanationOfBenefit.payee = party:Reference type:CodeableConcept
ExplanationOfBenefit.payment = adjustment:Money adjustmentReason:CodeableConcept amount:Money date:date
  identifier:Identifier type:CodeableConcept
ExplanationOfBenefit.procedure = date:dateTime procedure[x]!:CodeableConcept|Reference sequence!:positiveInt
  type*:CodeableConcept udi*:Reference
ExplanationOfBenefit.processNote = language:CodeableConcept number:positiveInt text:string
  type:code/note-type
ExplanationOfBenefit.related = claim:Reference reference:Identifier relationship:CodeableConcept
ExplanationOfBenefit.supportingInfo = category!:CodeableConcept code:CodeableConcept reason:Coding
  sequence!:positiveInt timing[x]:Period|date value[x]:Attachment|Quantity|Reference|boolean|string
ExplanationOfBenefit.total = amount!:Money category!:CodeableConcept
"""
