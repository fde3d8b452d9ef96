"""Routes of the API about studies."""

from django.urls import path

from studies.api import follow_ups, studies, trials

urlpatterns = [
    path("studies", studies.StudyList.as_view(), name="studies"),
    path("studies/validate", studies.ValidateStudy.as_view(), name="validate-study"),
    path("studies/<str:study_id>", studies.StudyDetail.as_view(), name="study"),
    path("studies/<str:study_id>/trials", trials.Trials.as_view(), name="study-trials"),
    path("studies/<str:study_id>/trials/<int:number>", trials.TrialDetail.as_view(), name="study-trial"),
    path("studies/<str:study_id>/trials.parquet", trials.TrialsFile.as_view(), name="study-trials-file"),
    path("studies/<str:study_id>/report", trials.StudyReport.as_view(), name="study-report"),
    path("studies/<str:study_id>/pause", studies.PauseStudy.as_view(), name="pause-study"),
    path("studies/<str:study_id>/resume", studies.ResumeStudy.as_view(), name="resume-study"),
    path("studies/<str:study_id>/cancel", studies.CancelStudy.as_view(), name="cancel-study"),
    path("studies/<str:study_id>/extend", studies.ExtendStudy.as_view(), name="extend-study"),
    path("studies/<str:study_id>/promote", follow_ups.PromoteTrial.as_view(), name="promote-trial"),
    path("studies/<str:study_id>/holdout", follow_ups.LookAtHoldout.as_view(), name="look-at-holdout"),
]
